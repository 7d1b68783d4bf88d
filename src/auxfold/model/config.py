"""The configuration that is stored with a model of ours."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class MultiTaskConfig(PreTrainedConfig):
    """Configuration of a :class:`MultiTaskModel`.

    Args:
        backbone: the backbone's own configuration, as a dictionary with its ``model_type``.
        heads: task name to head width.
        main_task: the head that ``forward`` computes when none is named at inference.
        pooling: ``mean``, ``cls``, ``attention``, or ``pooler``, the backbone's own.
        head_dropout: dropout before every head.
        multisample_dropout: dropout masks per row in training, whose logits are averaged (Inoue 2019).
        scales: head name to ``mean`` and ``std`` of its targets, one number per output: the
            head's outputs are given back in the targets' own units.
        bins: head name to classes per column, of heads that learn a number as classes: but in
            training they give the logit of the expectation, one number per column.
        adapter: the settings of the adapter in the backbone (``[model.adapter]``), if any.
        reference: ``name`` and ``sha256`` of the frozen backbone, which is then not stored with the
            model; empty: the weights are all here.
    """

    model_type = "auxfold"

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,
        heads: dict[str, int] | None = None,
        main_task: str = "",
        pooling: str = "mean",
        head_dropout: float = 0.1,
        multisample_dropout: int = 1,
        scales: dict[str, dict[str, list[float]]] | None = None,
        bins: dict[str, int] | None = None,
        adapter: dict[str, Any] | None = None,
        reference: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone or {}
        self.heads = heads or {}
        self.main_task = main_task
        self.pooling = pooling
        self.head_dropout = head_dropout
        self.multisample_dropout = multisample_dropout
        self.scales = scales or {}
        self.bins = bins or {}
        self.adapter = adapter
        self.reference = reference
        super().__init__(**kwargs)

    def widths(self) -> dict[str, int]:
        """Head name to logits of a row at inference."""
        return {name: width // self.bins.get(name, 1) for name, width in self.heads.items()}

    def backbone_config(self) -> PreTrainedConfig:
        """The backbone's configuration object."""
        told = {k: v for k, v in self.backbone.items() if k != "model_type"}
        return AutoConfig.for_model(self.backbone["model_type"], **told)
