"""What is written for readers: the report page, its plots, console tables, model cards.

- :mod:`~auxfold.report.page`: the report of a run as one HTML file. Its parts are in
  :mod:`~auxfold.report.headline`, :mod:`~auxfold.report.score_tables`,
  :mod:`~auxfold.report.class_tables`, :mod:`~auxfold.report.data_section` and
  :mod:`~auxfold.report.fold_table`, its form in ``templates/``.
- :mod:`~auxfold.report.tables`: the same results as text for the console.
- :mod:`~auxfold.report.plot`: the style of all plots. The plots of a run are in
  :mod:`~auxfold.report.run_plots`, :mod:`~auxfold.report.main_task_plots`,
  :mod:`~auxfold.report.curve_plots`, :mod:`~auxfold.report.reliability_plot`,
  :mod:`~auxfold.report.bias_plot` and :mod:`~auxfold.report.comparison_plot`.
- :mod:`~auxfold.report.model_card`: the ``README.md`` of a fold folder.
- :mod:`~auxfold.report.cross_validation_log`: the results of a run in W&B.
"""
