"""Multi-class tasks: one softmax over classes."""

from __future__ import annotations

from auxfold.config import MulticlassSettings
from auxfold.tasks.class_task import ClassTask
from auxfold.tasks.losses import MULTICLASS_LOSSES
from auxfold.tasks.metrics import MULTICLASS_METRICS


class MulticlassTask(ClassTask):
    """Cross-entropy over the classes of one column, or of one column of shares per class."""

    settings: MulticlassSettings
    kind = "multiclass"
    default_metric = "accuracy"
    headline = ("accuracy", "f1", "log_loss")
    metrics = MULTICLASS_METRICS
    has_mean_over_tasks = True

    def __init__(self, settings: MulticlassSettings) -> None:
        super().__init__(settings)
        self.loss = MULTICLASS_LOSSES[settings.loss](settings)
