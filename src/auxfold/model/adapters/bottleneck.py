"""Bottleneck adapters: small residual networks inside every layer of a frozen backbone.

Placement, activation, width and initialization are those of the `adapters` library (Poth 2023).
``pfeiffer`` is its ``seq_bn`` (Pfeiffer 2020), ``houlsby`` is its ``double_seq_bn`` (Houlsby 2019).
With h the output of a sublayer, x its residual, LN the layer norm after it and A the adapter:

* ``pfeiffer``, after the feed-forward: ``LN(h + x + A(LN(h + x)))``, which uses the norm twice;
* ``houlsby``, after attention and after the feed-forward: ``LN(h + A(h) + x)``.

A pre-norm backbone (ModernBERT) has no LN there: ``x + h + A(x + h)`` and ``x + h + A(h)``. ALBERT
shares its layers, and so its adapters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import get_activation

from auxfold.config import BottleneckAdapter
from auxfold.errors import InputError

# Patterns for the ends of module names, by architecture: the modules whose outputs are h of
# attention and h of the feed-forward, and the layer norm of the latter's sum with the residual
# (pre-norm: the layer, whose output is this sum).
_BERT = (
    r"layer\.\d+\.attention\.output\.dropout",
    r"layer\.\d+\.output\.dropout",
    r"layer\.\d+\.output\.LayerNorm",
)
_MODULE_PATTERNS = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert", "electra"), _BERT),
    **dict.fromkeys(("deberta", "deberta-v2"), _BERT),
    "mpnet": (r"layer\.\d+\.attention\.dropout", *_BERT[1:]),
    "albert": (
        r"albert_layers\.\d+\.attention\.output_dropout",
        r"albert_layers\.\d+\.ffn_output",
        r"albert_layers\.\d+\.full_layer_layer_norm",
    ),
    "modernbert": (r"layers\.\d+\.attn\.out_drop", r"layers\.\d+\.mlp\.Wo", r"layers\.\d+"),
}
_PRE_NORM = ("modernbert",)
_ACTIVATIONS = {"pfeiffer": "relu", "houlsby": "swish"}


class Bottleneck(nn.Module):
    """Project ``(…, hidden)`` down to ``width``, activate, and project up to ``(…, hidden)``.

    The weights start with a standard deviation of 0.02 and the biases with zero. The output is near
    zero at first, so that the backbone starts almost unchanged.
    """

    def __init__(self, hidden: int, width: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.down = nn.Linear(hidden, width)
        self.activation = get_activation(activation)
        self.up = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """``(…, hidden)``, to be added to what comes in."""
        return self.dropout(self.up(self.activation(self.down(hidden))))


def add_bottlenecks(backbone: PreTrainedModel, settings: BottleneckAdapter) -> None:
    """Add a :class:`Bottleneck` named ``bottleneck`` to the modules whose output it changes.

    Raises:
        InputError: the modules of this architecture are not known.
    """
    architecture = backbone.config.model_type
    if architecture not in _MODULE_PATTERNS:
        raise InputError(
            f"model.adapter.kind = {settings.kind!r} cannot be added to a {architecture!r} "
            f"backbone; it can to {', '.join(_MODULE_PATTERNS)}"
        )
    attention, feed_forward, norm = _MODULE_PATTERNS[architecture]
    hook: Callable[..., torch.Tensor]
    if settings.kind == "houlsby":
        pattern, hook = f"{attention}|{feed_forward}", _add
    else:
        pattern, hook = norm, _add if architecture in _PRE_NORM else _add_before_norm
    hidden = backbone.config.hidden_size
    for name, module in list(backbone.named_modules()):
        if re.search(rf"(^|\.)({pattern})$", name):
            width = max(1, hidden // settings.reduction_factor)
            activation = settings.activation or _ACTIVATIONS[settings.kind]
            _attach(module, Bottleneck(hidden, width, activation, settings.dropout), hook)


def _attach(module: nn.Module, bottleneck: Bottleneck, hook: Callable[..., torch.Tensor]) -> None:
    # The bottleneck is a child, and the hook gets it from the module that is called. So the names
    # of the backbone do not change, and a copy of the model uses its own bottlenecks.
    weight = next(module.parameters(), None)
    module.bottleneck = bottleneck if weight is None else bottleneck.to(weight.device)
    module.register_forward_hook(hook)


def _add(module: Any, _: Any, output: torch.Tensor) -> torch.Tensor:
    return output + module.bottleneck(output)


def _add_before_norm(
    module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
) -> torch.Tensor:
    return module.forward(inputs[0] + module.bottleneck(output))
