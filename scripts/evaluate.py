"""The same as ``auxfold evaluate``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("evaluate")
