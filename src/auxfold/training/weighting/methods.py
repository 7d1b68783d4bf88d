"""The task-weighting methods by the name that ``task_weighting.method`` gives them."""

from __future__ import annotations

from auxfold.training.weighting.dwa import DynamicWeightAverage
from auxfold.training.weighting.famo import Famo
from auxfold.training.weighting.gradnorm import GradNorm
from auxfold.training.weighting.main_first import MainFirst
from auxfold.training.weighting.method import WeightingMethod
from auxfold.training.weighting.surgery import Surgery
from auxfold.training.weighting.uncertainty import Uncertainty

METHODS: dict[str, type[WeightingMethod]] = {
    "fixed": WeightingMethod,
    "uncertainty": Uncertainty,
    "dwa": DynamicWeightAverage,
    "gradnorm": GradNorm,
    "famo": Famo,
    "main_first": MainFirst,
    "pcgrad": Surgery,
    "cagrad": Surgery,
    "upgrad": Surgery,
}
