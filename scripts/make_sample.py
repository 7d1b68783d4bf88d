"""The same as ``auxfold make-sample``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("make_sample")
