"""Blends of several runs: joined by id, weighted, and judged on rows that no weight was fitted on.

In reading order: :mod:`~auxfold.blending.members` (one run), :mod:`~auxfold.blending.candidates`
(the runs joined by id, and the score of a blend), :mod:`~auxfold.blending.methods` (the methods and
their options), :mod:`~auxfold.blending.weights` and :mod:`~auxfold.blending.search` (weights on
given rows), :mod:`~auxfold.blending.nested` (what blending brings),
:mod:`~auxfold.blending.summary` (the record and the table). Stored weights are applied in
:mod:`auxfold.inference.blend`.
"""
