"""The same as ``auxfold compare``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("compare")
