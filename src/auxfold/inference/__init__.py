"""Inference: from trained folds and a table of texts to one prediction per row.

``ensemble`` averages the folds of one run and ``blend`` the runs of a blend, file by file, while
``predictor`` keeps the models in memory and predicts texts in Python. Both get them from
``fold_loader``, which loads the backbone of adapters once. ``postprocess`` applies stored
calibration and thresholds, ``submission`` brings predictions into the form that a competition
expects, ``merge`` exports adapters as plain models, and ``file_blend`` averages prediction files.

Only torch, transformers, safetensors, numpy, pandas, pyarrow and pydantic are imported here: a
Kaggle notebook has them all. Adapters may also need peft and bitsandbytes.
"""
