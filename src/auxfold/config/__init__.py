"""The sections of an experiment file: every key with its default, unit and meaning.

One module per section: ``data``, ``folds``, ``identities``, ``sample_weights``, ``model`` (also
[model.adapter]), ``tasks``, ``training`` ([train], [selection]), ``task_weighting``, ``inference``
and ``tracking``. ``experiment`` puts them together, ``consistency`` checks what must
fit between them, and ``reference`` writes their documentation.
"""

from auxfold.config.binary_settings import BALANCED, BinarySettings, ProbabilitySettings
from auxfold.config.class_settings import (
    SQRT_BALANCED,
    ClassSettings,
    MulticlassSettings,
    OrdinalSettings,
)
from auxfold.config.data import TAGS, Data, Source
from auxfold.config.folds import Folds
from auxfold.config.identities import BIAS, BIAS_FAMILIES, Identities
from auxfold.config.inference import Inference
from auxfold.config.model import (
    AnyAdapter,
    BottleneckAdapter,
    Ia3Adapter,
    LoraAdapter,
    Model,
    PrefixAdapter,
)
from auxfold.config.sample_weights import BY_IDENTITY, SampleWeights
from auxfold.config.section import Name, Section, Seed
from auxfold.config.tags_settings import TagsSettings
from auxfold.config.task_settings import TaskSettings
from auxfold.config.task_weighting import TaskWeightingSettings
from auxfold.config.tasks import (
    AnyTask,
    RegressionSettings,
    tasks_from_group_sizes,
)
from auxfold.config.tracking import Tracking
from auxfold.config.training import Selection, Train

__all__ = [
    "BALANCED",
    "BIAS",
    "BIAS_FAMILIES",
    "BY_IDENTITY",
    "SQRT_BALANCED",
    "TAGS",
    "AnyAdapter",
    "AnyTask",
    "BinarySettings",
    "BottleneckAdapter",
    "ClassSettings",
    "Data",
    "Folds",
    "Ia3Adapter",
    "Identities",
    "Inference",
    "LoraAdapter",
    "Model",
    "MulticlassSettings",
    "Name",
    "OrdinalSettings",
    "PrefixAdapter",
    "ProbabilitySettings",
    "RegressionSettings",
    "SampleWeights",
    "Section",
    "Seed",
    "Selection",
    "Source",
    "TagsSettings",
    "TaskSettings",
    "TaskWeightingSettings",
    "Tracking",
    "Train",
    "tasks_from_group_sizes",
]
