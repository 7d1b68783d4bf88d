"""One backbone, one head per task, as a ``transformers`` model people know how to handle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from auxfold.model.pooling import AttentionPool, mean_pool

transformers_logging.disable_progress_bar()  # "Loading weights": a run shows one bar, its own


class MultiTaskConfig(PreTrainedConfig):
    """Configuration of a :class:`MultiTaskModel`.

    Args:
        backbone: the backbone's own configuration, as a dictionary with its ``model_type``.
        heads: task name to head width.
        main_task: the head that ``forward`` computes when none is named at inference.
        pooling: ``mean``, ``cls`` or ``attention``.
        head_dropout: dropout before every head.
        dropout_samples: dropout masks per row in training, whose logits are averaged (Inoue 2019).
        scales: head name to ``mean`` and ``std`` of its targets, one number per output: the
            head's outputs are given back in the targets' own units.
    """

    model_type = "auxfold"

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,
        heads: dict[str, int] | None = None,
        main_task: str = "",
        pooling: str = "mean",
        head_dropout: float = 0.1,
        dropout_samples: int = 1,
        scales: dict[str, dict[str, list[float]]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone or {}
        self.heads = heads or {}
        self.main_task = main_task
        self.pooling = pooling
        self.head_dropout = head_dropout
        self.dropout_samples = dropout_samples
        self.scales = scales or {}
        super().__init__(**kwargs)

    def backbone_config(self) -> PreTrainedConfig:
        """The backbone's configuration object."""
        told = {k: v for k, v in self.backbone.items() if k != "model_type"}
        return AutoConfig.for_model(self.backbone["model_type"], **told)


class MultiTaskModel(PreTrainedModel):
    """A backbone with pooling and one linear head per task.

    ``forward(input_ids, attention_mask, token_type_ids=None, tasks=None)`` gives a dictionary
    from task name to fp32 logits ``(rows, width)``; only the named heads are computed.

    Attributes:
        tap: in training, what a head sees of the features ``(rows, hidden)`` goes through
            ``tap(task, features)``, where a task's own gradient can be watched and scaled.
    """

    config_class = MultiTaskConfig
    base_model_prefix = "backbone"
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: MultiTaskConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        if backbone is None:
            # Only "eager" is passed on: else each backbone takes the best attention it has.
            eager = config._attn_implementation == "eager"
            backbone = AutoModel.from_config(
                config.backbone_config(), attn_implementation="eager" if eager else None
            )
        if getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None  # not used here: it would be trained by nobody and saved
        self.backbone = backbone
        hidden = backbone.config.hidden_size
        self.dropout = nn.Dropout(config.head_dropout)
        self.pool = AttentionPool(hidden) if config.pooling == "attention" else None
        self.heads = nn.ModuleDict(
            {name: nn.Linear(hidden, width) for name, width in config.heads.items()}
        )
        self.tap: Callable[[str, torch.Tensor], torch.Tensor] | None = None
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        tasks: list[str] | None = None,
    ) -> dict[str, torch.Tensor]:
        features = self.features(input_ids, attention_mask, token_type_ids)
        names = list(self.heads) if tasks is None else tasks
        with torch.autocast(features.device.type, enabled=False):
            return {name: self._head(name, features) for name in names}

    def _head(self, name: str, features: torch.Tensor) -> torch.Tensor:
        masks = self.config.dropout_samples if self.training else 1
        outputs = (
            sum(self.heads[name](self.dropout(self._seen(name, features))) for _ in range(masks))
            / masks
        )
        scale = self.config.scales.get(name)
        if scale is None:
            return outputs
        # From the configuration, not buffers: exact whatever format the weights are stored in.
        return outputs * outputs.new_tensor(scale["std"]) + outputs.new_tensor(scale["mean"])

    def _seen(self, name: str, features: torch.Tensor) -> torch.Tensor:
        return features if self.tap is None else self.tap(name, features)

    def features(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        hidden = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask, **types
        ).last_hidden_state
        if self.config.pooling == "cls":
            return hidden[:, 0].float()
        if self.pool is not None:
            return self.pool(hidden, attention_mask).float()
        return mean_pool(hidden, attention_mask)

    def set_scale(self, task: str, mean: list[float], std: list[float]) -> None:
        """What a head's outputs are multiplied by and moved to, one number per output."""
        self.config.scales = {**self.config.scales, task: {"mean": mean, "std": std}}

    def set_head_bias(self, task: str, bias: torch.Tensor) -> None:
        """Start a head at a bias ``(width,)``."""
        with torch.no_grad():
            self.heads[task].bias.copy_(bias)


AutoConfig.register("auxfold", MultiTaskConfig, exist_ok=True)
AutoModel.register(MultiTaskConfig, MultiTaskModel, exist_ok=True)
