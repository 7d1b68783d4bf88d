"""Kaggle: a dataset and a notebook, and the code that runs there.

A bundle of trained folds: at home, ``bundle`` writes it, with the ``names`` that it gets on Kaggle.
Its models come from ``bundled_folds``. There, the notebook calls ``versions`` and ``wheels`` first,
and then ``kernel``. That reads the dataset with ``loaded_bundle``, finds the competition's files
with ``inputs`` and a backbone of its own with ``backbone_input``, and predicts with one process per
GPU in ``workers``. ``manifest`` is what both sides share.

A bundle that trains: at home, ``training_plan`` says what, and ``training_bundle`` writes it.
There, the notebook calls ``wheels`` first, and then ``training_kernel``. That reads the experiment
with ``training_inputs``, continues an ``earlier_output``, and gives folds to
``training_processes``, of which each runs a ``training_worker``. ``training_manifest`` is what both
sides share.
"""
