"""The sections of an experiment file: every key with its default, unit and meaning.

[data] and [folds] stand in data.py, [identities] and [row_weights] in rows.py, [model] in
model.py, [[tasks]] in tasks.py, [train], [balance] and [selection] in training.py, [inference] and
[tracking] in use.py.
"""

from auxfold.settings.data import TAGS, Data, Folds, Source
from auxfold.settings.model import (
    AnyAdapter,
    BottleneckAdapter,
    Ia3Adapter,
    LoraAdapter,
    Model,
    PrefixAdapter,
)
from auxfold.settings.rows import BIAS, BIAS_FAMILIES, BY_IDENTITY, Identities, RowWeights
from auxfold.settings.section import Name, Section, Seed
from auxfold.settings.tasks import (
    RATE,
    AnyTask,
    BinarySettings,
    MulticlassSettings,
    RegressionSettings,
    TaskSettings,
    tasks_of_groups,
)
from auxfold.settings.training import Balance, Selection, Train
from auxfold.settings.use import Inference, Tracking

__all__ = [
    "BIAS",
    "BIAS_FAMILIES",
    "BY_IDENTITY",
    "AnyAdapter",
    "AnyTask",
    "Balance",
    "BinarySettings",
    "BottleneckAdapter",
    "Data",
    "Folds",
    "Ia3Adapter",
    "Identities",
    "Inference",
    "LoraAdapter",
    "Model",
    "MulticlassSettings",
    "Name",
    "PrefixAdapter",
    "RATE",
    "RegressionSettings",
    "RowWeights",
    "Section",
    "Seed",
    "Selection",
    "Source",
    "TAGS",
    "TaskSettings",
    "Tracking",
    "Train",
    "tasks_of_groups",
]
