"""Choose the encoder over packed tokens for a backbone."""

from __future__ import annotations

from transformers import PreTrainedModel

from auxfold.model.fast.bert import FastBert
from auxfold.model.fast.deberta import FastDeberta
from auxfold.model.fast.encoder import FastEncoder
from auxfold.model.fast.modernbert import FastModernBert
from auxfold.model.frozen_linear import FrozenLinear
from auxfold.model.pooling import AttentionPool

_ENCODERS: dict[str, type[FastEncoder]] = {
    **dict.fromkeys(
        ("bert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet", "distilbert"), FastBert
    ),
    "deberta-v2": FastDeberta,
    "modernbert": FastModernBert,
}


def build_fast_encoder(
    backbone: PreTrainedModel, pooling: str, pool: AttentionPool | None = None
) -> FastEncoder | None:
    """The encoder over packed tokens of a backbone; None: its module itself has to run.

    That is so for other architectures, decoders, gradient checkpointing, frozen weights in another
    number format than fp32, outputs of hidden states or attention weights, and for hooks, with
    which bottlenecks and prefixes are attached.

    Args:
        backbone: the module of Hugging Face.
        pooling: ``cls``, ``last``, ``mean``, ``attention`` or ``pooler``.
        pool: the module of ``attention``.
    """
    encoder = _ENCODERS.get(backbone.config.model_type)
    if encoder is None or not is_plain(backbone) or not encoder.supports(backbone):
        return None
    return encoder(backbone, pooling, pool)


def is_plain(backbone: PreTrainedModel) -> bool:
    """Whether a backbone only does what its architecture says."""
    config = backbone.config
    is_special = (
        getattr(config, "is_decoder", False)
        or getattr(config, "output_attentions", False)
        or getattr(config, "output_hidden_states", False)
        or getattr(config, "position_embedding_type", None) not in (None, "absolute")
        or any(getattr(module, "gradient_checkpointing", False) for module in backbone.modules())
        or any(isinstance(module, FrozenLinear) for module in backbone.modules())
    )
    return not is_special and not any(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        for module in backbone.modules()
    )
