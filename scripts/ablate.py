"""The same as ``auxfold ablate``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("ablate")
