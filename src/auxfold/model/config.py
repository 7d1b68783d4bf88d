"""The configuration that is stored with a multi-task model."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class MultiTaskConfig(PreTrainedConfig):
    """Configuration of a :class:`MultiTaskModel`.

    Args:
        backbone: the backbone's own configuration, as a dictionary with its ``model_type``.
        heads: task name to head width.
        main_task: the experiment's main task.
        pooling: ``mean``, ``cls``, ``last``, ``attention``, or ``pooler``, which is the backbone's.
        head_dropout: dropout before every head.
        multisample_dropout: number of dropout masks per row in training. The logits are averaged
            over them (Inoue 2019).
        scales: head name to ``mean`` and ``std`` of its targets, one number per output. The model
            converts the head's outputs to the units of the targets.
        bins: head name to classes per column, for heads that learn a number as classes. Except in
            training such a head returns the logit of the expectation, one number per column.
        ordinal: names of heads for ordered classes, which learn a score and cut points and return
            the logarithms of the classes' probabilities.
        adapter: settings of the adapter in the backbone (``[model.adapter]``), if any.
        tasks: head name to its task (settings and what it has learned from the training rows), from
            which the loss of labels is computed. A head without a task has the losses of
            transformers.
        reference: the frozen backbone, which is then not stored with the model: its ``name``,
            ``tensors_sha256`` and number formats (:func:`auxfold.model.reference.make_reference`).
            In a bundle for Kaggle also the ``path`` of a copy, relative to the model. None means
            that all weights are stored.
        kwargs: for ``PreTrainedConfig``.
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
        ordinal: list[str] | None = None,
        adapter: dict[str, Any] | None = None,
        tasks: dict[str, dict[str, Any]] | None = None,
        reference: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone or {}
        self.heads = heads or {}
        self.main_task = main_task
        self.pooling = pooling
        self.head_dropout = head_dropout
        # Models of version 0.1 store the number of masks as `dropout_samples`.
        self.multisample_dropout = kwargs.pop("dropout_samples", multisample_dropout)
        self.scales = scales or {}
        self.bins = bins or {}
        self.ordinal = ordinal or []
        self.adapter = adapter
        self.tasks = tasks or {}
        self.reference = reference
        super().__init__(**kwargs)

    def output_widths(self) -> dict[str, int]:
        """Head name to the number of logits per row at inference."""
        return {name: width // self.bins.get(name, 1) for name, width in self.heads.items()}

    def backbone_config(self) -> PreTrainedConfig:
        """The backbone's configuration as an object."""
        values = {key: value for key, value in self.backbone.items() if key != "model_type"}
        return AutoConfig.for_model(self.backbone["model_type"], **values)
