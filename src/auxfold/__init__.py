"""auxfold: multi-task text competitions, from one experiment file to one submission."""

__version__ = "0.1.0"
