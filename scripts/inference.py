"""The same as ``auxfold inference``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("inference")
