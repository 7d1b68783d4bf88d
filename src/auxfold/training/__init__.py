"""Train a fold: its rows, the optimizer steps, evaluation, checkpoints and the fold folder."""
