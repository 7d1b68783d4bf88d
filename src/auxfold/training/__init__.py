"""Training one fold: objective, optimizer, loop, checkpoints."""
