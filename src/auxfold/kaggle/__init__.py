"""Kaggle: a dataset and a notebook from trained folds, and the code that runs there.

At home, ``bundle`` writes both, with the ``names`` that they get on Kaggle. On Kaggle, the notebook
calls ``versions`` first, and then ``kernel``. That reads the dataset with ``loaded_bundle``, finds
the competition's files with ``inputs`` and predicts with one process per GPU in ``workers``.
``manifest`` is what both sides share.
"""
