"""Fold models that belong together, averaged into one prediction per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auxfold.data.batches import tokenised_rows
from auxfold.data.table import Table
from auxfold.display import Display
from auxfold.errors import InputError, nearest
from auxfold.experiment import Experiment, load_experiment
from auxfold.inference.predict import predict_logits
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.precision import best_device, choose_precision
from auxfold.run_folder import FoldFolder, RunFolder, read_json
from auxfold.tasks import Task, make_tasks


@dataclass(frozen=True)
class Ensemble:
    """Finished folds of one experiment, known to belong together.

    Attributes:
        experiment: as the folds were trained.
        folders: the fold folders, in the order asked for.
    """

    experiment: Experiment
    folders: list[FoldFolder]

    @classmethod
    def of(cls, experiment: Experiment, folds: list[int | str] | None = None) -> Ensemble:
        """The named folds, or all ``n_splits`` of them.

        Raises:
            InputError: a fold is not trained, or the folds differ in experiment or data.
        """
        run_folder = RunFolder.of(experiment)
        names = list(range(experiment.folds.n_splits)) if folds is None else folds
        if len(set(names)) != len(names):
            raise InputError(f"--folds names a fold twice: {', '.join(map(str, names))}")
        folders = [run_folder.fold(name) for name in names]
        missing = [str(n) for n, f in zip(names, folders, strict=True) if not f.exists()]
        if missing:
            raise InputError(
                f"{run_folder.path}: fold {', '.join(missing)} not trained yet; run "
                f"scripts/train.py --fold {missing[0]}, or choose others with --folds"
            )
        _check_together(experiment, folders)
        return cls(load_experiment(folders[0].experiment), folders)

    def tasks(self, names: list[str] | None = None) -> list[Task]:
        """The named tasks, or the main task alone.

        Raises:
            InputError: an unknown task name.
        """
        known = {task.name: task for task in make_tasks(self.experiment)}
        for name in names or []:
            if name not in known:
                listed = ", ".join(known)
                raise InputError(f"no task {name!r}{nearest(name, known)}; tasks: {listed}")
        return [known[name] for name in names or [self.experiment.main_task.name]]

    def predict(
        self, table: Table, tasks: list[Task], average: str, show: bool = True
    ) -> dict[str, np.ndarray]:
        """Task name to predictions ``(rows, n_outputs)``, in the order of the table.

        Args:
            table: ids and texts.
            tasks: whose heads are computed; no other head is.
            average: ``probability`` (mean of the activated outputs) or ``logit``.
            show: a progress bar.
        """
        display = Display("predict", len(self.folders) * len(table), quiet=not show)
        sums: dict[str, np.ndarray] = {}
        try:
            for folder in self.folders:
                for name, logits in self._logits(folder, table, tasks, display).items():
                    task = next(t for t in tasks if t.name == name)
                    values = logits.astype(np.float64)
                    values = task.activate(values) if average == "probability" else values
                    sums[name] = sums[name] + values if name in sums else values
        finally:
            display.close()
        means = {name: total / len(self.folders) for name, total in sums.items()}
        if average == "logit":
            means = {t.name: t.activate(means[t.name]) for t in tasks}
        return means

    def _logits(
        self, folder: FoldFolder, table: Table, tasks: list[Task], display: Display
    ) -> dict[str, np.ndarray]:
        device = best_device()
        model, tokenizer = load_fold(folder, device)
        cache = RunFolder.of(self.experiment).tokens
        rows = tokenised_rows(table, tokenizer, self.experiment.model, cache)
        return predict_logits(
            model,
            rows,
            np.arange(len(table)),
            tasks=[task.name for task in tasks],
            max_tokens=self.experiment.inference.max_tokens_per_batch,
            precision=choose_precision(self.experiment.train.precision, device),
            on_batch=display.advance,
        )


def load_fold(folder: FoldFolder, device: torch.device) -> tuple[MultiTaskModel, Any]:
    """The model of a fold on its device, in fp32, and its tokenizer."""
    from transformers import AutoTokenizer

    model = MultiTaskModel.from_pretrained(folder.path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder.path)
    return model.to(device).eval(), tokenizer


def _check_together(experiment: Experiment, folders: list[FoldFolder]) -> None:
    """Refuse folds of different experiments or data, or of another experiment than asked for."""
    runs = [read_json(folder.run) for folder in folders]
    for key in ("experiment_fingerprint", "data_fingerprint"):
        for folder, run in zip(folders[1:], runs[1:], strict=True):
            if run[key] != runs[0][key]:
                raise InputError(
                    f"{folder.path} and {folders[0].path} do not belong together: they differ in "
                    f"{key.replace('_', ' ')}; train one of them anew with --overwrite"
                )
    if runs[0]["experiment_fingerprint"] != experiment.fingerprint():
        raise InputError(
            f"{folders[0].path} was trained with another experiment than the one given; "
            f"compare it with {folders[0].experiment}, or train anew with --overwrite"
        )
