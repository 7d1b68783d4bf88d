"""``python -m auxfold``."""

from auxfold.cli.main import main

if __name__ == "__main__":
    main()
