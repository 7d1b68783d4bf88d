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


class TextBackbone:
    """``AutoModel``, of which only the text part is kept where a model reads images, too."""

    @staticmethod
    def from_pretrained(
        path: str, *, config: PreTrainedConfig, trust_remote_code: bool, **options: Any
    ) -> PreTrainedModel:
        """Load the text part, whose ``config`` is its own.

        Args:
            path: a folder or a hub name.
            config: of the text part; it counts instead of the published one.
            trust_remote_code: as for ``AutoModel``.
            options: for ``AutoModel.from_pretrained``.

        Raises:
            InputError: the text part of the model is not a model by itself.
        """
        published = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
        if find_text_config(published) is published:
            return AutoModel.from_pretrained(
                path, config=config, trust_remote_code=trust_remote_code, **options
            )
        published.text_config = config
        whole = AutoModel.from_pretrained(
            path, config=published, trust_remote_code=trust_remote_code, **options
        )
        text = whole.get_decoder()
        if text is whole or not isinstance(text, PreTrainedModel):
            raise InputError(
                f"{path!r} is of the model type {published.model_type!r}, whose text part cannot "
                f"be taken out; give a model that reads only text"
            )
        return text
