"""One backbone and one head per task, as a model of ``transformers``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from auxfold.errors import InputError, UnknownName, nearest
from auxfold.model.adapters.injection import (
    add_adapter,
    merge_adapter,
    parse_adapter_settings,
    trainable_state_dict,
)
from auxfold.model.binned import logit_of_expectation
from auxfold.model.config import MultiTaskConfig
from auxfold.model.loading import load_config, load_with_reference
from auxfold.model.numbered_heads import check_heads, load_numbered_heads
from auxfold.model.pooling import AttentionPool, mean_pool

# No "Loading weights": a run shows only one progress bar, that of auxfold.
transformers_logging.disable_progress_bar()


class MultiTaskModel(PreTrainedModel):
    """A backbone with pooling and one linear head per task.

    ``model(input_ids, attention_mask)`` returns a dictionary from task name to fp32 logits
    ``(rows, width)``. With ``tasks=[…]`` it holds only those tasks, and with ``task="…"`` the model
    returns the logits of this one task. Heads that are not named are not computed.

    Attributes:
        feature_hook: called in training as ``feature_hook(task, features)`` with the features
            ``(rows, hidden)``. The head gets what it returns, so that a hook can read and scale the
            gradient of each task. None: the head gets the features.
    """

    config_class = MultiTaskConfig
    base_model_prefix = "backbone"
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: MultiTaskConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self.backbone = backbone = _build_backbone(config) if backbone is None else backbone
        _check_pooler(backbone, config.pooling)
        hidden = backbone.config.hidden_size
        self.dropout = nn.Dropout(config.head_dropout)
        self.pool = AttentionPool(hidden) if config.pooling == "attention" else None
        self.heads = nn.ModuleDict(
            {name: nn.Linear(hidden, width) for name, width in config.heads.items()}
        )
        self.feature_hook: Callable[[str, torch.Tensor], torch.Tensor] | None = None
        self.post_init()
        if config.adapter is not None:  # after post_init, which would initialize it again
            add_adapter(self.backbone, parse_adapter_settings(config.adapter))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        tasks: list[str] | None = None,
        task: str | None = None,
    ) -> dict[str, torch.Tensor] | torch.Tensor:
        """Logits by task name, or of one task.

        Args:
            input_ids: ``(rows, tokens)``.
            attention_mask: ``(rows, tokens)``, 0 where padded.
            token_type_ids: ``(rows, tokens)``, where the backbone has token types.
            tasks: the heads to compute; None: all.
            task: the only head to compute.

        Returns:
            Task name to fp32 logits ``(rows, width)``, or with ``task`` only its logits.

        Raises:
            UnknownName: there is no such task, or both ``task`` and ``tasks`` are given.
        """
        names = self._head_names(task, tasks)
        features = self.features(input_ids, attention_mask, token_type_ids)
        with torch.autocast(features.device.type, enabled=False):
            logits = {name: self.head_logits(name, features) for name in names}
        return logits if task is None else logits[task]

    def features(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        outputs = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **types)
        if self.config.pooling == "pooler":
            return outputs.pooler_output.float()
        hidden = outputs.last_hidden_state
        if self.config.pooling == "cls":
            return hidden[:, 0].float()
        if self.pool is not None:
            return self.pool(hidden, attention_mask).float()
        return mean_pool(hidden, attention_mask)

    def head_logits(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """The logits ``(rows, width)`` of one head, from features ``(rows, hidden)``."""
        outputs = self._multisample_outputs(task, features)
        bins = self.config.bins.get(task)
        if bins is not None and not self.training:
            return logit_of_expectation(outputs, bins)
        scale = self.config.scales.get(task)
        if scale is None:
            return outputs
        # From the configuration and not from buffers: exact in every number format of the weights.
        return outputs * outputs.new_tensor(scale["std"]) + outputs.new_tensor(scale["mean"])

    def _multisample_outputs(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """A linear layer behind dropout, in training averaged over several dropout masks."""
        head, hook = self.heads[task], self.feature_hook
        n_masks = self.config.multisample_dropout if self.training else 1
        outputs = (
            head(self.dropout(features if hook is None else hook(task, features)))
            for _ in range(n_masks)
        )
        return sum(outputs) / n_masks

    def _head_names(self, task: str | None, tasks: list[str] | None) -> list[str]:
        if task is not None and tasks is not None:
            raise UnknownName("give task or tasks, not both")
        names = [task] if task is not None else list(self.heads) if tasks is None else tasks
        for name in names:
            if name not in self.heads:
                known = ", ".join(self.heads)
                raise UnknownName(f"no task {name!r}{nearest(name, self.heads)}; tasks: {known}")
        return names

    def set_scale(self, task: str, mean: list[float], std: list[float]) -> None:
        """Multiply a head's outputs by ``std`` and add ``mean``, one number per output."""
        self.config.scales = {**self.config.scales, task: {"mean": mean, "std": std}}

    def set_bins(self, task: str, bins: int) -> None:
        """Set how many classes per column a head's outputs are."""
        self.config.bins = {**self.config.bins, task: bins}

    def set_head_bias(self, task: str, bias: torch.Tensor) -> None:
        """Set the bias ``(width,)`` that a head starts with."""
        head = self.heads[task]
        assert isinstance(head, nn.Linear)
        with torch.no_grad():
            head.bias.copy_(bias)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def merge(self) -> MultiTaskModel:
        """Make this a plain model, in place: it then needs no other backbone, and no peft.

        LoRA, DoRA and IA3 become part of the weights. Bottlenecks and prefixes remain as modules.
        """
        if merge_adapter(self.backbone):
            self.config.adapter = None
        self.config.reference = None
        return self.requires_grad_(True)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> None:
        """Save as in transformers; without the frozen backbone where a reference names it."""
        if self.config.reference is not None:
            kwargs.setdefault("state_dict", trainable_state_dict(self))
        super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *model_args: Any,
        task_labels_map: dict[str, int] | None = None,
        **kwargs: Any,
    ) -> MultiTaskModel:
        """Load as in transformers; with ``task_labels_map`` check or name the heads.

        The frozen backbone of an adapter is loaded by its reference.

        Args:
            pretrained_model_name_or_path: a fold folder or a hub name; with ``task_labels_map``
                also a checkpoint with numbered heads (see ``model/numbered_heads.py``).
            model_args: as in transformers.
            task_labels_map: head name to number of labels. Numbered heads get the names in this
                order. Heads that have names must have these names and widths.
            kwargs: as in transformers.

        Raises:
            InputError: the heads are others than those of ``task_labels_map``, or an adapter's
                backbone is missing or another one.
        """
        path = pretrained_model_name_or_path
        if task_labels_map is not None:
            checkpoint = load_numbered_heads(str(path), task_labels_map, kwargs)
            if checkpoint is not None:
                return super().from_pretrained(None, **checkpoint._asdict(), **kwargs)
        config = load_config(path, kwargs)
        if path is None or config is None or config.reference is None:
            loaded = super().from_pretrained(path, *model_args, **kwargs)
        else:
            loaded = load_with_reference(cls, path, config, kwargs)
        if task_labels_map is not None:
            model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
            check_heads(str(path), model.config.output_widths(), task_labels_map)
        return loaded


def _build_backbone(config: MultiTaskConfig) -> PreTrainedModel:
    """A backbone with random weights."""
    # Only "eager" is passed on. Otherwise each backbone takes the best attention that it supports.
    attention = "eager" if config._attn_implementation == "eager" else None
    return AutoModel.from_config(config.backbone_config(), attn_implementation=attention)


def _check_pooler(backbone: PreTrainedModel, pooling: str) -> None:
    """Refuse a missing pooler where it is used, and remove it where it is not.

    Raises:
        InputError: ``pooling`` is ``pooler`` and the backbone has none.
    """
    pooler = getattr(backbone, "pooler", None)
    if pooling == "pooler":
        if pooler is None:
            raise InputError(
                f"model.pooling = 'pooler': {backbone.config.model_type} has no pooler"
            )
    elif pooler is not None:
        # It would be stored without ever being trained.
        backbone.pooler = None  # type: ignore[assignment]


AutoConfig.register("auxfold", MultiTaskConfig, exist_ok=True)
AutoModel.register(MultiTaskConfig, MultiTaskModel, exist_ok=True)
