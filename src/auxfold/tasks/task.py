"""What a task provides to the package. A new kind is one file that subclasses :class:`Task`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch

from auxfold.config import TaskSettings
from auxfold.errors import InputError
from auxfold.tasks.constants import constant
from auxfold.tasks.losses import Loss
from auxfold.tasks.metrics import Metric, mean_defined, select_metrics

EPS = 1e-15  # no probability is nearer to 0 or 1 than this where logits are taken


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of every column of a standardized task, in the columns' own units."""

    mean: list[float]
    std: list[float]

    def tensors(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """``(columns,)`` float32 mean and deviation."""
        return constant(self.mean, device), constant(self.std, device)


class Task(ABC):
    """One head: which label columns it reads, what its loss is and what it predicts.

    Shapes: ``labels`` are ``(rows, len(settings.label_columns))`` with NaN where not labeled;
    ``logits`` and ``predictions`` are ``(rows, n_outputs)``. What has a loss and metrics are the
    ``settings.targets``: the label columns, or one set of classes. Only in training the head gives
    ``(rows, head_width)``, where that is another width.

    Attributes:
        kind: the name of this kind in the experiment file.
        default_metric: the metric that selects checkpoints when the experiment names none.
        headline: the metrics that a line on the console has room for.
        metrics: metric name to a function of one column's labels and its predictions; of a task the
            metrics that it has by its number of classes.
        has_mean_over_tasks: whether several tasks of this kind also have the means of their
            metrics over the tasks.
        has_positive_class: whether a label lies in [0, 1] and is positive from 0.5 on. Thresholds,
            negative rows and the bias metric are for such tasks only.
        predicts_probabilities: whether predictions lie in [0, 1].
        calibration_methods: how predictions can be calibrated.
        averages: the averages of several models' predictions that have a meaning.
        loss: the loss of a cell.
        scale: what the head's outputs are multiplied by and shifted by, learned by :meth:`fit`.
    """

    kind: ClassVar[str]
    default_metric: ClassVar[str]
    headline: ClassVar[tuple[str, ...]]
    metrics: dict[str, Metric]
    has_mean_over_tasks: ClassVar[bool] = False
    has_positive_class: ClassVar[bool] = False
    predicts_probabilities: ClassVar[bool] = True
    calibration_methods: ClassVar[tuple[str, ...]] = ()
    averages: ClassVar[tuple[str, ...]] = ("probability", "logit")
    loss: Loss[Any]
    scale: Scale | None = None

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.metrics = select_metrics(self.metrics, settings)

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Logits and predictions of a row."""

    @property
    def bins(self) -> int | None:
        """Classes per column, where the head learns such; see :class:`Loss`."""
        return self.loss.bins

    @property
    def bias_loss_power(self) -> float | None:
        """The exponent of the bias loss, where the loss is that one; see :class:`Loss`."""
        return self.loss.bias_loss_power

    @property
    def head_width(self) -> int:
        """Outputs of the head in training."""
        return self.n_outputs * (self.bins or 1)

    @property
    def prediction_columns(self) -> list[str]:
        """Names of the predicted columns, ``(n_outputs,)``."""
        return self.settings.prediction_columns

    @property
    def summary_columns(self) -> list[str]:
        """Columns of :meth:`to_columns` besides the outputs: the likeliest class, or the tags."""
        columns = dict.fromkeys([*self.settings.columns, *self.settings.targets])
        return [column for column in columns if column not in self.prediction_columns]

    @property
    def class_names(self) -> list[str] | None:
        """The classes, one per output; None where a label is a number."""
        return self.settings.class_names

    @property
    def short_names(self) -> list[str] | None:
        """The classes or tags, one per output; None where outputs have no other name."""
        return self.class_names

    def for_column(self, column: str) -> Task:
        """The same task for only one of its targets, not fitted."""
        return type(self)(
            self.settings.model_copy(update={"columns": [column], "label_weights": None})
        )

    # ---- labels

    @abstractmethod
    def check_labels(self, labels: np.ndarray, path: str) -> None:
        """Refuse labels that together cannot be trained on.

        Raises:
            InputError: naming file and column.
        """

    def check_cells(self, labels: np.ndarray, path: str) -> None:  # noqa: B027, numbers suffice
        """Refuse a label of one file that cannot be one.

        Raises:
            InputError: naming file, column and row.
        """

    def column_labels(self, labels: np.ndarray, position: int) -> np.ndarray:
        """The part of the labels that a metric of the target at ``position`` takes."""
        return labels[:, position]

    def is_labeled(self, labels: np.ndarray) -> np.ndarray:
        """``(rows, targets)`` whether a cell has a loss."""
        return ~np.isnan(labels)

    @abstractmethod
    def stratification_flags(self, labels: np.ndarray) -> np.ndarray:
        """``(rows, flags)`` numbers whose ``>= 0.5`` folds share out evenly; NaN: not labeled."""

    @abstractmethod
    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        """What a person compares between folds, by column heading."""

    # ---- training

    def fit(self, labels: np.ndarray) -> Self:
        """Learn from a fold's training rows what the loss needs.

        Returns:
            The task itself, as in scikit-learn. :meth:`TaskSet.fit` fits copies.
        """
        return self

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`fit` has learned, as JSON can hold it."""
        return {} if self.scale is None else {"scale": asdict(self.scale)}

    def load_state_dict(self, state: dict[str, Any]) -> Self:
        """Take over what another task of these settings has learned; the task itself."""
        if "scale" in state:
            self.scale = Scale(**state["scale"])
        return self

    @abstractmethod
    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        """``(head_width,)`` biases at which an untrained head predicts the labels' rates."""

    def cell_weights(self, labels: np.ndarray) -> np.ndarray | None:
        """``(rows, targets)`` weights that losses have by their labels; None: all are 1.

        Only ``divide_by_weight_sum`` reads them.
        """
        return None

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Unreduced loss of every cell, ``(rows, targets)``.

        Args:
            logits: ``(rows, head_width)``.
            labels: ``(rows, columns)`` without NaN.
            pos_weight: ``(rows, 1)`` weights of the positive part of a row's labels, instead of
                those of the settings. Only binary tasks read it.
        """
        return self.loss.cell_losses(logits, labels, pos_weight)

    # ---- predictions

    @abstractmethod
    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Logits to predictions, ``(rows, n_outputs)``."""

    @abstractmethod
    def to_logits(self, predictions: np.ndarray) -> np.ndarray:
        """Logits that :meth:`activate` turns into these predictions."""

    def normalize(self, predictions: np.ndarray) -> np.ndarray:
        """Predictions that were changed one by one, so that those of a row fit together again."""
        return predictions

    def output_slice(self, position: int) -> slice:
        """The outputs that belong to the column at ``position``."""
        return slice(position, position + 1)

    def column_predictions(self, predictions: np.ndarray, position: int) -> np.ndarray:
        """The part of the predictions that a metric of the column at ``position`` takes."""
        return predictions[:, position]

    def to_columns(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Column name to values ``(rows,)``, as in a prediction file."""
        return {c: predictions[:, i] for i, c in enumerate(self.prediction_columns)}

    def label_values(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Label column to the labels ``(rows,)`` as a file has them: classes by their names."""
        columns, names = self.settings.label_columns, self.class_names
        if names is None or len(columns) > 1:
            return {c: labels[:, i] for i, c in enumerate(columns)}
        known = ~np.isnan(labels[:, 0])
        values = np.full(len(labels), None, dtype=object)
        values[known] = np.array(names, dtype=object)[labels[known, 0].astype(int)]
        return {columns[0]: values}

    def format_examples(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[np.ndarray | list[str], np.ndarray | list[str]]:
        """Labels and predictions of the first column, as numbers or as text for a person."""
        return labels[:, 0], predictions[:, 0]

    @abstractmethod
    def errors(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """``(rows,)`` how far the first column's prediction is off; NaN where not labeled."""

    def calibration_pairs(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Outcomes and probabilities that a calibrated task has equal on average.

        Args:
            labels: ``(rows,)`` of one column.
            predictions: ``(rows, n_outputs)`` of that column.

        Returns:
            ``(rows,)`` each: labels and predictions; of classes whether the likeliest one is right
            (NaN where not labeled) and its probability.
        """
        return labels, predictions[:, 0]

    def compute_metrics(
        self, labels: np.ndarray, predictions: np.ndarray
    ) -> dict[str, float | None]:
        """Every metric: the mean over columns, and ``<metric>/<column>`` where there are several.

        The mean is over the columns on which the metric is defined; None if there is none.
        """
        columns = self.settings.targets
        means: dict[str, float | None] = {}
        single: dict[str, float | None] = {}
        for name, metric in self.metrics.items():
            values = [
                metric(self.column_labels(labels, i), self.column_predictions(predictions, i))
                for i in range(len(columns))
            ]
            means[name] = mean_defined(values)
            if len(columns) > 1:
                single |= {f"{name}/{c}": v for c, v in zip(columns, values, strict=True)}
        return means | single


def refuse_cell(path: str, column: str, row: int, value: float, expected: str) -> InputError:
    """The error for one unusable label."""
    return InputError(f"{path}: column {column!r}, row {row + 1}: label {value:g}; {expected}")
