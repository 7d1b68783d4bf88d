"""Public data sets that can be downloaded by name, and a generated sample competition."""
