"""The same as ``auxfold bundle-kaggle``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("bundle_kaggle")
