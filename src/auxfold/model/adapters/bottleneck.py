"""Bottleneck adapters: small residual networks inside every layer of a frozen backbone.

Placement, activation, width and start are those of the `adapters` library (Poth 2023):
``pfeiffer`` is its ``seq_bn`` (Pfeiffer 2020), ``houlsby`` its ``double_seq_bn`` (Houlsby 2019).
With h the output of a sublayer, x its residual, LN the layer norm behind it and A the adapter:

* ``pfeiffer``, after the feed-forward: ``LN(h + x + A(LN(h + x)))``, the norm used twice;
* ``houlsby``, after attention and after the feed-forward: ``LN(h + A(h) + x)``.

A backbone with its norms in front (ModernBERT) has no LN there: ``x + h + A(x + h)`` and
``x + h + A(h)``. ALBERT shares its layers, and so its adapters.
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

# Ends of module names, by architecture: where h of attention and h of the feed-forward come out,
# and where their sum with the residual goes through the layer norm, or comes out of the layer.
_BERT = (
    r"layer\.\d+\.attention\.output\.dropout",
    r"layer\.\d+\.output\.dropout",
    r"layer\.\d+\.output\.LayerNorm",
)
_PLACES = {
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
_NORM_IN_FRONT = ("modernbert",)
_ACTIVATIONS = {"pfeiffer": "relu", "houlsby": "swish"}


class Bottleneck(nn.Module):
    """``(…, hidden)`` down to ``width``, through the activation, and up to ``(…, hidden)``.

    Starts near zero (weights of deviation 0.02, biases zero): the backbone starts almost as it was.
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
        return self.dropout(self.up(self.activation(self.down(hidden))))


def add_bottlenecks(backbone: PreTrainedModel, settings: BottleneckAdapter) -> None:
    """Put a :class:`Bottleneck` named ``bottleneck`` into the modules that it works behind.

    Raises:
        InputError: an architecture whose places are not known.
    """
    architecture = backbone.config.model_type
    if architecture not in _PLACES:
        raise InputError(
            f"model.adapter.kind = {settings.kind!r} has no place in a {architecture!r} backbone; "
            f"it has in {', '.join(_PLACES)}"
        )
    attention, feed_forward, normed = _PLACES[architecture]
    if settings.kind == "houlsby":
        places, hook = f"{attention}|{feed_forward}", _add
    else:
        places, hook = normed, _add if architecture in _NORM_IN_FRONT else _add_before_norm
    hidden = backbone.config.hidden_size
    for name, module in list(backbone.named_modules()):
        if re.search(rf"(^|\.)({places})$", name):
            width = max(1, hidden // settings.reduction_factor)
            activation = settings.activation or _ACTIVATIONS[settings.kind]
            _attach(module, Bottleneck(hidden, width, activation, settings.dropout), hook)


def _attach(module: nn.Module, bottleneck: Bottleneck, hook: Callable[..., Any]) -> None:
    # A child and a hook that finds it on the module called: the backbone's own names stay as they
    # are, and a copy of the model uses its own adapters.
    weight = next(module.parameters(), None)
    module.bottleneck = bottleneck if weight is None else bottleneck.to(weight.device)
    module.register_forward_hook(hook)


def _add(module: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
    return output + module.bottleneck(output)


def _add_before_norm(module: nn.Module, given: Any, output: torch.Tensor) -> torch.Tensor:
    return module.forward(given[0] + module.bottleneck(output))
