"""What is written for readers: the report page, its plots, console tables, model cards.

- :mod:`~auxfold.report.page`: the report of a run as one HTML file.
- :mod:`~auxfold.report.tables`: the same results as text for the console.
- :mod:`~auxfold.report.plot`: the style of all plots. The plots of a run are in
  :mod:`~auxfold.report.run_plots`, :mod:`~auxfold.report.main_task_plots`,
  :mod:`~auxfold.report.bias_plot` and :mod:`~auxfold.report.comparison_plot`.
- :mod:`~auxfold.report.model_card`: the ``README.md`` of a fold folder.
- :mod:`~auxfold.report.cross_validation_log`: the results of a run in W&B.
"""
