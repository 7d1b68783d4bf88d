"""The sections of an experiment file: every key with its default, unit and meaning.

[data] and [folds] stand in data.py, [identities] and [sample_weights] in rows.py, [model] in
model.py, [[tasks]] in tasks.py, [train], [task_weighting] and [selection] in training.py, [inference] and
[tracking] in use.py.
"""

from auxfold.config.data import TAGS, Data, Folds, Source
from auxfold.config.identities import BIAS, BIAS_FAMILIES, BY_IDENTITY, Identities, SampleWeights
from auxfold.config.inference import Inference, Tracking
from auxfold.config.model import (
    AnyAdapter,
    BottleneckAdapter,
    Ia3Adapter,
    LoraAdapter,
    Model,
    PrefixAdapter,
)
from auxfold.config.section import Name, Section, Seed
from auxfold.config.tasks import (
    BALANCED,
    AnyTask,
    BinarySettings,
    MulticlassSettings,
    RegressionSettings,
    TaskSettings,
    tasks_of_groups,
)
from auxfold.config.training import Selection, TaskWeightingSettings, Train

__all__ = [
    "BIAS",
    "BIAS_FAMILIES",
    "BY_IDENTITY",
    "RATE",
    "TAGS",
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
    "RegressionSettings",
    "RowWeights",
    "Section",
    "Seed",
    "Selection",
    "Source",
    "TaskSettings",
    "Tracking",
    "Train",
    "tasks_of_groups",
]
