"""The same as ``auxfold blend``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("blend")
