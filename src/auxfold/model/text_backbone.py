"""The part of a published model that reads text."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from auxfold.errors import InputError


def find_text_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The configuration of the text part; of a model that reads only text, its own.

    Models that read images, too, nest it: Gemma 3 from 4 billion parameters on, for example.
    """
    nested = getattr(config, "text_config", None)
    return nested if isinstance(nested, PreTrainedConfig) else config


def with_text_config(path: str, config: PreTrainedConfig) -> PreTrainedConfig:
    """The configuration of a published model whose text part has another one.

    Args:
        path: a folder or a hub name.
        config: of the text part.
    """
    published = AutoConfig.from_pretrained(path, trust_remote_code=False)
    if find_text_config(published) is published:
        return config
    published.text_config = config
    return published


class TextBackbone:
    """``AutoModel``, of which only the text part is kept where a model reads images, too."""

    @staticmethod
    def from_pretrained(path: str, *, config: PreTrainedConfig, **options: Any) -> PreTrainedModel:
        """Load a model, and take its text part.

        Args:
            path: a folder or a hub name.
            config: of the whole model.
            options: for ``AutoModel.from_pretrained``.

        Raises:
            InputError: the text part of the model is not a model by itself.
        """
        whole: PreTrainedModel = AutoModel.from_pretrained(path, config=config, **options)
        if find_text_config(config) is config:
            return whole
        text = whole.get_decoder()
        if text is whole or not isinstance(text, PreTrainedModel):
            raise InputError(
                f"{path!r} is of the model type {config.model_type!r}, whose text part cannot "
                f"be taken out; give a model that reads only text"
            )
        return text
