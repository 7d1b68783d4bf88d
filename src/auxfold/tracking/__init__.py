"""What a person sees of a run: the progress in the terminal, and curves and tables in W&B."""

from auxfold.tracking.mode import wandb_mode

__all__ = ["wandb_mode"]
