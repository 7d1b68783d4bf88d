"""The same as ``auxfold get-data``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("get_data")
