"""The same as ``auxfold make-folds``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("make_folds")
