"""The bias metric by identity.

- :mod:`~auxfold.fairness.jigsaw_bias`: the metric itself.
- :mod:`~auxfold.fairness.bias_table`: the metric as a data frame and as a table of text.
- :mod:`~auxfold.fairness.identity_terms`: identities from a list of terms, for texts that nobody
  annotated.
"""
