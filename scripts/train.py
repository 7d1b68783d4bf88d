"""The same as ``auxfold train``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("train")
