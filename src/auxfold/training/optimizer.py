"""AdamW with decay only where it belongs, and its schedule."""

from __future__ import annotations

import torch
from torch import nn
from transformers import get_scheduler

from auxfold.settings import Train


def parameter_groups(model: nn.Module, settings: Train) -> list[dict[str, object]]:
    """Optimizer groups: backbone and heads, each with and without weight decay.

    Biases and one-dimensional weights (layer norms) are not decayed. Every trainable parameter
    is in exactly one group, which is asserted.
    """
    head_rate = settings.head_learning_rate or settings.learning_rate
    groups = {
        (part, decays): {
            "params": [],
            "names": [],
            "lr": settings.learning_rate if part == "backbone" else head_rate,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for part in ("backbone", "head")
        for decays in (True, False)
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = "backbone" if name.startswith("backbone.") else "head"
            group = groups[part, parameter.ndim >= 2]
            group["params"].append(parameter)
            group["names"].append(name)
    placed = [name for group in groups.values() for name in group["names"]]
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert sorted(placed) == sorted(trainable), "every parameter in exactly one group"
    return [group for group in groups.values() if group["params"]]


def make_optimizer(model: nn.Module, settings: Train) -> torch.optim.AdamW:
    """Fused AdamW over :func:`parameter_groups`."""
    groups = parameter_groups(model, settings)
    for group in groups:
        del group["names"]  # for people and tests; not part of the saved state
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: Train, n_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Linear warm-up over ``warmup`` of all steps, then linear or cosine decay to zero."""
    return get_scheduler(
        settings.schedule,
        optimizer,
        num_warmup_steps=round(settings.warmup * n_steps),
        num_training_steps=n_steps,
    )
