"""Whether a backbone reads in one direction, and what goes with it."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from auxfold.errors import InputError

_N_TOKENS = 8
_TOLERANCE = 1e-5  # of the largest number in the state


def probe_tokens(backbone: PreTrainedModel) -> torch.Tensor:
    """Token ids ``(1, tokens)`` of a short row, on the device of the backbone."""
    ids = torch.arange(10, 10 + _N_TOKENS) % getattr(backbone.config, "vocab_size", 128)
    return ids[None].to(backbone.device)


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


def choose_direction(backbone: PreTrainedModel, causal: bool | None) -> bool:
    """Make a backbone read as ``model.causal`` says, in place, and prove it by a probe.

    Args:
        backbone: as it was published.
        causal: false lets all tokens of a language model see each other (BehnamGhader et al. 2024,
            LLM2Vec); true asks for a language model; None leaves it as it is.

    Returns:
        Whether the backbone is causal now.

    Raises:
        InputError: the architecture does not allow it.
    """
    if causal is False:
        make_bidirectional(backbone)
    reads_forward = is_causal(backbone)
    if causal is False and reads_forward:
        raise InputError(
            f"model.causal = false: {backbone.config.model_type!r} reads in one direction only, "
            f"whatever its attention mask; remove the key"
        )
    if causal and not reads_forward:
        raise InputError(
            f"model.causal = true: the tokens of this {backbone.config.model_type!r} see those "
            f"after them; remove the key"
        )
    return reads_forward


def make_bidirectional(backbone: PreTrainedModel) -> None:
    """Let all tokens see each other, in place; the configuration remembers it.

    Transformers then makes masks for padding only, also those of sliding windows. A model that is
    built from this configuration is passed through here again.
    """
    backbone.config.is_causal = False
    for module in backbone.modules():
        if hasattr(module, "is_causal"):  # what attention reads where there is no mask
            module.is_causal = False  # type: ignore[assignment]


def is_causal(backbone: PreTrainedModel) -> bool:
    """Whether a token's state depends on no later token.

    A probe finds it, whatever the architecture is called: the last token of a row is changed, and
    the state of the first one is the same or not.
    """
    row = probe_tokens(backbone)
    changed = row.clone()
    changed[0, -1] = 9
    was_training = backbone.training
    backbone.eval()
    with torch.no_grad():
        first, second = _first_state(backbone, row), _first_state(backbone, changed)
    backbone.train(was_training)
    return bool((first - second).abs().max() <= _TOLERANCE * first.abs().max())


def _first_state(backbone: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    output = backbone(input_ids=ids, attention_mask=torch.ones_like(ids))
    return output.last_hidden_state[0, 0].float()
