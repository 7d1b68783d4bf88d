"""Whether a backbone reads in one direction, and the pooling that goes with it."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from auxfold.errors import InputError

_N_TOKENS = 8
_TOLERANCE = 1e-5  # of the largest number in the state


def choose_pooling(setting: str, causal: bool) -> str:
    """The pooling of a backbone by ``model.pooling``.

    Args:
        setting: ``auto`` is ``last`` for a causal backbone and ``mean`` for others.
        causal: of :func:`is_causal`.

    Raises:
        InputError: it is ``cls``, and the first token does not see the text.
    """
    if setting == "cls" and causal:
        raise InputError(
            "model.pooling = 'cls': the first token of this backbone does not see the tokens after "
            "it, so that all rows would be the same; use 'last' or 'mean'"
        )
    if setting == "auto":
        return "last" if causal else "mean"
    return setting


def is_causal(backbone: PreTrainedModel) -> bool:
    """Whether a token's state depends on no later token.

    A probe finds it, whatever the architecture is called: the last token of a row is changed, and
    the state of the first one is the same or not.
    """
    rows = torch.arange(10, 10 + _N_TOKENS).repeat(2, 1)
    rows[1, -1] = 9
    rows %= getattr(backbone.config, "vocab_size", 128)
    was_training = backbone.training
    backbone.eval()
    with torch.no_grad():
        first, second = (_first_state(backbone, row.to(backbone.device)) for row in rows)
    backbone.train(was_training)
    return bool((first - second).abs().max() <= _TOLERANCE * first.abs().max())


def _first_state(backbone: PreTrainedModel, row: torch.Tensor) -> torch.Tensor:
    ids = row[None]
    output = backbone(input_ids=ids, attention_mask=torch.ones_like(ids))
    return output.last_hidden_state[0, 0].float()
