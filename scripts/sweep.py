"""The same as ``auxfold sweep``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("sweep")
