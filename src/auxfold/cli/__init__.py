"""The commands: ``auxfold <command>``, one module each."""
