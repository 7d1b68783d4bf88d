"""Fold models that belong together, averaged into one prediction per row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auxfold.config.experiment import Experiment
from auxfold.data.batches import tokenize_dataset
from auxfold.data.table import Table
from auxfold.errors import InputError, nearest
from auxfold.inference.predict import predict_logits
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.precision import best_device, choose_precision
from auxfold.postprocessing.averaging import check_average, from_scale, to_scale
from auxfold.storage.run_folder import (
    FULL,
    FoldFolder,
    RunFolder,
    check_together,
    check_trained_with,
    trained_folds,
)
from auxfold.tasks import Task, make_tasks
from auxfold.tracking.progress import Display

PREDICTED = ("test", "sample_submission", "test_labels")  # keys of [data] that no model depends on


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
        """The named folds, or all of them, below the current directory.

        Raises:
            InputError: a fold is not trained, or the folds differ in experiment or data.
        """
        names = list(experiment.folds.names) if folds is None else folds
        folders = trained_folds(RunFolder.of(experiment), names)
        trained = check_trained_with(folders, experiment)
        # [inference] and what there is to predict are the user's to change; the rest is as trained.
        paths = {name: getattr(experiment.data, name) for name in PREDICTED}
        data = trained.data.model_copy(update=paths)
        update = {"inference": experiment.inference, "data": data}
        return cls(trained.model_copy(update=update), folders)

    @classmethod
    def at(cls, path: str | Path, folds: list[int | str] | None = None) -> Ensemble:
        """The folds in a run folder (``outputs/<name>``), or the one fold of a fold folder.

        Args:
            path: where they are.
            folds: which; all when left out, or ``full`` where there is nothing else.

        Raises:
            InputError: nothing trained there, a fold is missing, or folds do not belong together.
        """
        if FoldFolder(Path(path)).exists() and folds is None:
            folders = [FoldFolder(Path(path))]
            return cls(check_together(folders), folders)
        run_folder = RunFolder(Path(path))
        there = run_folder.finished()
        if run_folder.blend.is_file():
            raise InputError(f"{path} is a blend of runs; scripts/inference.py --blend predicts it")
        if not there:
            raise InputError(
                f"{path} holds no trained fold; expected a run folder such as outputs/<name>, or "
                f"one of its folds such as outputs/<name>/fold_0"
            )
        names = folds or (there if there == [FULL] else run_folder.fold_names())
        folders = trained_folds(run_folder, names)
        return cls(check_together(folders), folders)

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
        return [known[n] for n in dict.fromkeys(names or [self.experiment.main_task.name])]

    def predict(
        self,
        table: Table,
        tasks: list[Task],
        average: str,
        show: bool = True,
        on_fold: Callable[[FoldFolder, dict[str, np.ndarray]], object] = lambda *_: None,
    ) -> dict[str, np.ndarray]:
        """Task name to predictions ``(rows, n_outputs)``, in the order of the table.

        One model after the other is in memory; the tokens are kept beside the folds.

        Args:
            table: ids and texts.
            tasks: whose heads are computed; no other head is.
            average: one of ``auxfold.postprocessing.averaging.AVERAGES``.
            show: a progress bar.
            on_fold: told each fold and its logits by task name.

        Raises:
            InputError: an average that is not for one of the tasks, or for one row.
        """
        check_average(average, tasks, len(table))
        display = Display("predict", len(self.folders) * len(table), quiet=not show)
        try:
            logits = self._logits_of_folds(table, tasks, display, on_fold)
            return average_folds(logits, tasks, average, self.experiment.inference.power)
        finally:
            display.close()

    def _logits_of_folds(
        self,
        table: Table,
        tasks: list[Task],
        display: Display,
        on_fold: Callable[[FoldFolder, dict[str, np.ndarray]], object],
    ) -> Iterator[dict[str, np.ndarray]]:
        for folder in self.folders:
            logits = self._logits(folder, table, tasks, display)
            on_fold(folder, logits)
            yield logits

    def _logits(
        self, folder: FoldFolder, table: Table, tasks: list[Task], display: Display
    ) -> dict[str, np.ndarray]:
        device = best_device()
        model, tokenizer = load_fold(folder, device)
        cache = RunFolder(folder.path.parent).tokens
        rows = tokenize_dataset(table.texts, tokenizer, self.experiment.model, cache)
        return predict_logits(
            model,
            rows,
            np.arange(len(table)),
            tasks=[task.name for task in tasks],
            max_tokens=self.experiment.inference.max_tokens_per_batch,
            precision=choose_precision(self.experiment.train.precision, device),
            on_batch=display.advance,
        )


def average_folds(
    folds: Iterable[dict[str, np.ndarray]], tasks: list[Task], average: str, power: float
) -> dict[str, np.ndarray]:
    """The mean over folds, task by task.

    Args:
        folds: of every fold, task name to logits ``(rows, n_outputs)``; taken one at a time.
        tasks: the tasks at hand.
        average: one of ``auxfold.postprocessing.averaging.AVERAGES``.
        power: the exponent of ``power``.
    """
    sums: dict[str, np.ndarray] = {}
    count = 0
    for logits in folds:
        count += 1
        for task in tasks:
            values = logits[task.name].astype(np.float64)
            if average != "logit":
                values = to_scale(task, task.activate(values), average, power)
            sums[task.name] = sums[task.name] + values if task.name in sums else values
    return {t.name: from_scale(t, sums[t.name] / count, average, power) for t in tasks}


def load_fold(folder: FoldFolder, device: torch.device) -> tuple[MultiTaskModel, Any]:
    """The model of a fold on its device, in fp32, and its tokenizer."""
    from transformers import AutoTokenizer

    model = MultiTaskModel.from_pretrained(folder.path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder.path)
    return model.to(device).eval(), tokenizer
