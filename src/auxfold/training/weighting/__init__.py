"""Task weights that adapt during the training: one file per method, the paper in its docstring."""
