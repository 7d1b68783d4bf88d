"""What a kernel trains on Kaggle, checked before anything slow is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auxfold.config.experiment import Experiment
from auxfold.data.paths import check_exists
from auxfold.errors import InputError
from auxfold.kaggle.names import KaggleNames, check_backbone_source
from auxfold.kaggle.wheels import check_wheels, required_packages
from auxfold.storage.run_folder import FULL, SOUP


@dataclass(frozen=True)
class TrainingPlan:
    """What a kernel trains on Kaggle, and with what.

    Attributes:
        experiment: what is trained.
        names: names of the dataset and the notebook on Kaggle.
        folds: what is trained, the most important first: numbers of folds, or ``full``.
        hours: the time budget of the notebook.
        gpus_per_fold: how many GPUs train one fold together.
        backbone_source: the Kaggle model or dataset with the backbone; None: the bundle has it.
        wheels: a folder of wheels; None: Kaggle's image has all packages.
        resumes: whether the output of the notebook's earlier version is attached to it.
    """

    experiment: Experiment
    names: KaggleNames
    folds: list[int | str]
    hours: float
    gpus_per_fold: int = 1
    backbone_source: str | None = None
    wheels: Path | None = None
    resumes: bool = False

    def check(self) -> None:
        """Refuse what would fail on Kaggle.

        Raises:
            InputError: no test file, a fold that does not exist, a soup, a backbone source of
                another form, or a package without a wheel that Kaggle's image lacks.
        """
        if self.experiment.data.test is None:
            raise InputError(
                "the experiment has no data.test; a kernel predicts the competition's test file"
            )
        if self.experiment.inference.average == SOUP:
            raise InputError(
                f"inference.average = {SOUP!r}: the kernel predicts with each fold once its "
                f"training ends; give --set inference.average=probability"
            )
        self._check_folds()
        if self.backbone_source:
            check_backbone_source(self.backbone_source)
        for path in data_paths(self.experiment):
            check_exists(path)
        check_wheels(self.requirements(), self.wheels)

    def _check_folds(self) -> None:
        names = [*self.experiment.folds.names, FULL]
        unknown = [fold for fold in self.folds if fold not in names]
        if unknown or len(set(self.folds)) != len(self.folds) or not self.folds:
            raise InputError(
                f"--folds {','.join(map(str, self.folds))}: each of {', '.join(map(str, names))} "
                f"may be named once"
            )

    def requirements(self) -> list[str]:
        """The packages that the training needs, in pip's form."""
        return required_packages(self.experiment, data_paths(self.experiment))


def data_paths(experiment: Experiment) -> list[str]:
    """The data files that a training and its submission read."""
    paths = [*experiment.training_paths, experiment.data.test, experiment.data.sample_submission]
    return list(dict.fromkeys(filter(None, paths)))
