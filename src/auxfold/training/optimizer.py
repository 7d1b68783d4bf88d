"""AdamW with decay only where it belongs, and its schedule."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from transformers import get_scheduler

from auxfold.config import Train
from auxfold.errors import InputError

_LAYER = re.compile(r"^backbone\..*\blayers?\.(\d+)\.")


def parameter_groups(model: nn.Module, settings: Train) -> list[dict[str, object]]:
    """Optimizer groups: layers of the backbone and heads, each with and without weight decay.

    Biases and one-dimensional weights (layer norms) are not decayed, nor are IA3's factors, which
    start at one. With ``layerwise_lr_decay`` each layer, and an adapter in it, learns at that share of the
    rate of the one above it, the embeddings slowest (Howard and Ruder 2018). Every trainable
    parameter is in exactly one group, which is asserted.

    Raises:
        InputError: ``layerwise_lr_decay`` for a backbone whose layers are not numbered.
    """
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    depths = [int(found[1]) for name, _ in trainable if (found := _LAYER.search(name))]
    if settings.layerwise_lr_decay < 1 and not depths:
        raise InputError(
            "train.layerwise_lr_decay: this backbone has no layers of its own to tell apart"
        )
    n_layers = max(depths, default=-1) + 1
    groups: dict[tuple[bool, float, bool], dict[str, Any]] = {}
    for name, parameter in reversed(trainable):  # the top first: its rate is the one shown
        rate, decays = _rate(name, n_layers, settings), _decays(name, parameter)
        empty = {"params": [], "names": [], "lr": rate,
                 "weight_decay": settings.weight_decay if decays else 0.0}  # fmt: skip
        group = groups.setdefault((name.startswith("backbone."), rate, decays), empty)
        group["params"].append(parameter)
        group["names"].append(name)
    made = sorted(groups.values(), key=lambda group: not group["names"][0].startswith("backbone."))
    placed = [name for group in made for name in group["names"]]
    assert sorted(placed) == sorted(n for n, _ in trainable), "every parameter in exactly one group"
    return made


def _decays(name: str, parameter: torch.Tensor) -> bool:
    return parameter.ndim >= 2 and ".ia3_l." not in name


def _rate(name: str, n_layers: int, settings: Train) -> float:
    """The learning rate of one parameter."""
    if not name.startswith("backbone."):
        return settings.head_learning_rate or settings.learning_rate
    layer = _LAYER.search(name)
    below = n_layers if "embeddings" in name else n_layers - 1 - int(layer[1]) if layer else 0
    return settings.learning_rate * settings.layerwise_lr_decay**below


def make_optimizer(
    model: nn.Module, settings: Train, task_weighting: dict[str, Any] | None = None
) -> torch.optim.AdamW:
    """Fused AdamW over :func:`parameter_groups`.

    Args:
        model: what is trained.
        settings: the ``[train]`` section.
        balance: one more group, of the tasks' weights that are learnt beside the model.
    """
    groups = parameter_groups(model, settings)
    for group in groups:
        del group["names"]  # for people and tests; not part of the saved state
    groups += [] if task_weighting is None else [task_weighting]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model whose weights follow the trained ones (Polyak averaging).

    After step t they move by ``1 - min(decay, (1 + t) / (10 + t))`` of the way: the start, which
    knows nothing, is forgotten soon.
    """

    def follow(kept: list[torch.Tensor], new: list[torch.Tensor], steps: torch.Tensor) -> None:
        share = 1 - min(decay, (1 + float(steps)) / (10 + float(steps)))
        torch._foreach_lerp_(kept, new, share)

    return AveragedModel(model, multi_avg_fn=torch.no_grad()(follow))


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: Train, n_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Linear warm-up over ``warmup`` of all steps, then linear or cosine decay to zero."""
    return get_scheduler(
        settings.schedule,
        optimizer,
        num_warmup_steps=round(settings.warmup_ratio * n_steps),
        num_training_steps=n_steps,
    )
