"""What is done to probabilities after a model: averaging, calibration and thresholds.

:mod:`~auxfold.postprocessing.averaging` joins the predictions of several models.
:mod:`~auxfold.postprocessing.calibration` and :mod:`~auxfold.postprocessing.thresholds` each fit
one kind of post-processing to out-of-fold predictions, :mod:`~auxfold.postprocessing.fitting` both
at once, and :mod:`~auxfold.postprocessing.record` stores and loads what was fitted. Inference
applies it in :mod:`auxfold.inference.postprocess`.
"""
