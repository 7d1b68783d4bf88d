"""The same as ``auxfold config``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("config")
