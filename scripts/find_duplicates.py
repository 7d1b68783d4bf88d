"""The same as ``auxfold find-duplicates``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("find_duplicates")
