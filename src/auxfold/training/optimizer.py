"""AdamW with weight decay only where it belongs, and the moving average of the weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn

from auxfold.config import Train
from auxfold.errors import InputError
from auxfold.model.layers import layer_depths
from auxfold.training.eight_bit_adamw import guarded_8bit_step, make_8bit_adamw

# A head's score moves with hundreds of weights, its cut points are single numbers: at the same rate
# they would stay where they start, and with them the largest probability of a middle class.
CUT_POINT_FACTOR = 100.0


def parameter_groups(model: nn.Module, settings: Train) -> list[dict[str, Any]]:
    """Optimizer groups: layers of the backbone, and heads, each with and without weight decay.

    Biases and one-dimensional weights (layer norms) are not decayed, nor are the factors of IA3,
    which start at one. With ``layerwise_lr_decay`` each layer, and an adapter in it, learns at that
    share of the rate of the layer above it, and the embeddings learn slowest (Howard and Ruder
    2018; :func:`auxfold.model.layers.layer_depths`). Every trainable parameter is in exactly one
    group, which is asserted.

    Raises:
        InputError: ``layerwise_lr_decay`` for a backbone without a stack of layers.
    """
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    depths = _layer_depths(model, settings)
    groups: dict[tuple[bool, float, bool], dict[str, Any]] = {}
    for name, parameter in reversed(trainable):  # the top first: its rate is the one shown
        rate, decays = _learning_rate(name, depths, settings), _decays(name, parameter)
        empty = {"params": [], "names": [], "lr": rate,
                 "weight_decay": settings.weight_decay if decays else 0.0}  # fmt: skip
        group = groups.setdefault((name.startswith("backbone."), rate, decays), empty)
        group["params"].append(parameter)
        group["names"].append(name)
    ordered = sorted(
        groups.values(), key=lambda group: not group["names"][0].startswith("backbone.")
    )
    placed = [name for group in ordered for name in group["names"]]
    assert sorted(placed) == sorted(n for n, _ in trainable), "every parameter in exactly one group"
    return ordered


def _layer_depths(model: nn.Module, settings: Train) -> dict[str, int]:
    """The layers above each parameter of the backbone; empty where all rates are equal."""
    if settings.layerwise_lr_decay == 1:
        return {}
    depths = layer_depths(model.get_submodule("backbone"))  # type: ignore[arg-type]
    if depths is None:
        raise InputError(
            "train.layerwise_lr_decay: this backbone has no layers that run one after the other, "
            "each with weights of its own; remove the key"
        )
    return depths


def _decays(name: str, parameter: torch.Tensor) -> bool:
    # Some biases have two dimensions: of experts, of XLNet's attention, of MPNet's positions.
    is_bias = any(part.endswith("bias") for part in name.split(".")[-2:])
    return parameter.ndim >= 2 and not is_bias and ".ia3_l." not in name


def _learning_rate(name: str, depths: dict[str, int], settings: Train) -> float:
    """The learning rate of one parameter."""
    if not name.startswith("backbone."):
        rate = settings.head_learning_rate or settings.learning_rate
        return rate * CUT_POINT_FACTOR if name.endswith(".cut_points") else rate
    depth = depths.get(name.removeprefix("backbone."), 0)
    return settings.learning_rate * settings.layerwise_lr_decay**depth


def make_optimizer(
    model: nn.Module, settings: Train, extra_group: dict[str, Any] | None = None
) -> torch.optim.Optimizer:
    """AdamW over :func:`parameter_groups`: fused, or that of bitsandbytes with moments of 8 bits.

    Args:
        model: what is trained.
        settings: the ``[train]`` section.
        extra_group: one more group, of what the task weighting learns next to the model.

    Raises:
        InputError: a rate per layer for a backbone without layers, or bitsandbytes is missing.
    """
    groups = parameter_groups(model, settings)
    for group in groups:
        del group["names"]  # for people and tests; not part of the saved state
    groups += [] if extra_group is None else [extra_group]
    if settings.optimizer != "adamw":
        return make_8bit_adamw(groups, settings.optimizer, settings.learning_rate)
    # Capturable: the counts of steps are on the device, so that a CUDA graph can hold the step.
    on_gpu = groups[0]["params"][0].is_cuda
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True, capturable=on_gpu)


def guarded_step(
    optimizer: AcceleratedOptimizer, is_finite: torch.Tensor, divisor: torch.Tensor | None = None
) -> None:
    """Take a step where ``is_finite`` is true, else leave parameters and moments as they are.

    The decision is made on the device, by the input that fused AdamW has for gradient scalers, so
    that the host does not wait for it. With fp16 the gradient scaler makes it in the same way, by
    what it found when it unscaled the gradients; to that ``is_finite`` is added.

    Args:
        optimizer: of :func:`make_optimizer`, prepared by accelerate. With fp16 its gradients are
            unscaled.
        is_finite: bool scalar on the device.
        divisor: what the gradient is divided by first, a scalar on the device; None: nothing.
    """
    if optimizer.scaler is not None:
        for found_inf in optimizer.scaler._found_inf_per_device(optimizer.optimizer).values():
            found_inf.copy_(torch.maximum(found_inf, (~is_finite).float()))
    if not is_fused(optimizer):
        guarded_8bit_step(optimizer, is_finite, divisor)
        return
    if optimizer.scaler is not None:
        optimizer.step()
        return
    adamw: Any = optimizer.optimizer
    adamw.found_inf = (~is_finite).float()
    adamw.grad_scale = divisor
    optimizer.step()
    del adamw.found_inf, adamw.grad_scale


def is_fused(optimizer: AcceleratedOptimizer) -> bool:
    """Whether a step is taken on the device without the host, so that a CUDA graph can hold it."""
    return isinstance(optimizer.optimizer, torch.optim.AdamW)


class MovingAverage(nn.Module):
    """A copy of a model whose trained weights follow those of the model (Polyak averaging).

    After the first step it equals the model. After step t + 1 it moves by
    ``1 - min(decay, (1 + t) / (10 + t))`` of the distance, so that the untrained start is soon
    forgotten. Frozen weights are those of the model itself.

    Args:
        model: what is trained.
        decay: the share of the average that a late step keeps.

    Attributes:
        module: the copy.
    """

    n_averaged: torch.Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        frozen = {id(p): p for p in model.parameters() if not p.requires_grad}
        self.module, self.decay = deepcopy(model, frozen), decay
        device = next(model.parameters()).device
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.float64, device=device))

    @torch.no_grad()
    def update(self, model: nn.Module, is_taken: torch.Tensor) -> None:
        """Follow the model where ``is_taken``, a scalar on the device, is 1, and not where it is 0.

        The host does not wait for a GPU.
        """
        steps = self.n_averaged
        retained = torch.clamp((1 + steps) / (10 + steps), max=self.decay)
        share = torch.where(steps > 0, 1 - retained, 1.0) * is_taken
        averages: list[torch.Tensor] = [p for p in self.module.parameters() if p.requires_grad]
        trained: list[torch.Tensor] = [p for p in model.parameters() if p.requires_grad]
        if share.is_cuda:
            distances = list(torch._foreach_sub(trained, averages))
            torch._foreach_mul_(distances, share.float())
            torch._foreach_add_(averages, distances)
        else:
            torch._foreach_lerp_(averages, trained, float(share))
        steps += is_taken
