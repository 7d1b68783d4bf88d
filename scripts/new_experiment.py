"""The same as ``auxfold new-experiment``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main("new_experiment")
