"""Fold models that belong together, averaged into one prediction per row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.dataset import TokenizedDataset, tokenize_dataset
from auxfold.data.table import Table
from auxfold.errors import InputError, nearest
from auxfold.evaluation.scores import describe_non_finite, find_non_finite
from auxfold.evaluation.token_statistics import TokenStatistics, measure_tokens
from auxfold.inference.fold_loader import FoldLoader, load_fold_tokenizer, prepare_model
from auxfold.inference.predict import predict_fold_logits
from auxfold.inference.soup import check_soup, make_soup
from auxfold.model.amp import choose_amp_dtype, default_device
from auxfold.model.backbone import runs_padding_free
from auxfold.model.memory import free_memory, models_fit
from auxfold.model.multitask import MultiTaskModel
from auxfold.postprocessing.averaging import check_average, from_scale, to_scale
from auxfold.storage.run_folder import FULL, SOUP, FoldFolder, RunFolder
from auxfold.storage.trained import check_together, check_trained_with, trained_folds
from auxfold.tasks import Task, TaskSet
from auxfold.tracking.progress import Display

# Keys of [data] for the table to predict; no model depends on them.
PREDICTION_KEYS = ("test", "sample_submission", "test_labels")

FoldCallback = Callable[[FoldFolder, dict[str, np.ndarray]], object]


@dataclass(frozen=True)
class Ensemble:
    """Trained folds of one experiment, checked to belong together.

    Attributes:
        experiment: the experiment that the folds were trained with.
        folders: the fold folders, in the order in which they were named.
    """

    experiment: Experiment
    folders: list[FoldFolder]

    @classmethod
    def from_experiment(
        cls, experiment: Experiment, folds: list[int | str] | None = None
    ) -> Ensemble:
        """The named folds of an experiment below the current directory; None: all of them.

        Raises:
            InputError: a fold is not trained, or the folds differ in experiment or data.
        """
        names = [*experiment.folds.names] if folds is None else folds
        folders = trained_folds(RunFolder.of(experiment), names, experiment)
        trained = check_trained_with(folders, experiment)
        # The user may change [inference] and what there is to predict. The rest is as trained.
        paths = {key: getattr(experiment.data, key) for key in PREDICTION_KEYS}
        data = trained.data.model_copy(update=paths)
        update = {"inference": experiment.inference, "data": data}
        resolved = trained.model_copy(update=update).with_origin(experiment.stored_in)
        return cls(resolved, folders)

    @classmethod
    def from_folder(
        cls, path: str | Path, folds: list[int | str] | None = None, trust_reader: bool = False
    ) -> Ensemble:
        """The folds in a run folder (``outputs/<name>``), or the only one of a fold folder.

        Args:
            path: the folder.
            folds: names of the folds; None: all, or ``full`` where there is nothing else.
            trust_reader: whether the code that the experiment names may run (``data.reader``).

        Raises:
            InputError: nothing is trained there, a fold is missing, or the folds do not belong
                together.
        """
        if FoldFolder(Path(path)).exists() and folds is None:
            folders = [FoldFolder(Path(path))]
            return cls(_load_trained(folders, trust_reader), folders)
        run_folder = RunFolder(Path(path))
        trained = run_folder.finished()
        if run_folder.blend.is_file():
            raise InputError(f"{path} is a blend of runs; scripts/inference.py --blend predicts it")
        if not trained:
            raise InputError(
                f"{path} holds no trained fold; expected a run folder such as outputs/<name>, or "
                f"one of its folds such as outputs/<name>/fold_0"
            )
        if not folds:
            folds = trained if trained == [FULL] else [*run_folder.fold_names()]
        folders = trained_folds(run_folder, folds)
        return cls(_load_trained(folders, trust_reader), folders)

    @property
    def run_folder(self) -> RunFolder:
        """The folder in which the folds are."""
        return RunFolder(self.folders[0].path.parent)

    @cached_property
    def tasks(self) -> TaskSet:
        """All tasks of the experiment."""
        return TaskSet.from_experiment(self.experiment)

    def select_tasks(self, names: list[str] | None = None) -> TaskSet:
        """The named tasks, or only the main task.

        Raises:
            InputError: an unknown task name.
        """
        for name in names or []:
            if name not in self.tasks.by_name:
                raise InputError(
                    f"no task {name!r}{nearest(name, self.tasks.names)}; "
                    f"tasks: {', '.join(self.tasks.names)}"
                )
        return self.tasks.subset(names or [self.tasks.main.name])

    def predict(
        self,
        table: Table,
        tasks: TaskSet,
        average: str,
        show: bool = True,
        on_fold: FoldCallback = lambda folder, logits: None,
        loader: FoldLoader | None = None,
    ) -> dict[str, np.ndarray]:
        """Task name to predictions ``(rows, n_outputs)``, in the order of the table.

        On a GPU all models read each batch in turn where they fit into its memory; otherwise only
        one model is in memory at a time. Adapters of one backbone share its weights. The tokens are
        stored next to the folds.

        Args:
            table: ids and texts.
            tasks: the tasks to predict; no other head is computed.
            average: one of ``auxfold.postprocessing.averaging.AVERAGES``, or ``soup``: one model
                with the mean of the folds' weights predicts.
            show: whether to show a progress bar.
            on_fold: called with each fold and its logits by task name; not for a soup.
            loader: loads the folds, maybe around a backbone that those of another run have left;
                None: a new one.

        Raises:
            InputError: the average does not suit one of the tasks, a single row, or the folds; or
                predictions are not finite.
        """
        check_average(prediction_average(average), tasks, len(table))
        is_soup = average == SOUP
        if is_soup:
            check_soup(self.experiment)
        n_models = 1 if is_soup else len(self.folders)
        display = Display("predict", n_models * len(table), quiet=not show)
        try:
            fold_logits = (
                self._predict_soup(table, tasks, display)
                if is_soup
                else self._iterate_folds(
                    table, tasks, display, on_fold, loader or FoldLoader(default_device())
                )
            )
            predictions = average_folds(
                fold_logits, tasks, average, self.experiment.inference.power
            )
        finally:
            display.close()
        _check_finite(predictions, table)
        return predictions

    def measure_tokens(self, table: Table) -> TokenStatistics:
        """How the tokenizer of the folds reads the texts of a table."""
        tokenizer = load_fold_tokenizer(self.folders[0])
        return measure_tokens(table.texts, tokenizer, self.experiment.model, self.experiment.data)

    def _iterate_folds(
        self,
        table: Table,
        tasks: TaskSet,
        display: Display,
        on_fold: FoldCallback,
        loader: FoldLoader,
    ) -> Iterator[dict[str, np.ndarray]]:
        """The logits of each fold by task name, in the order of the folds."""
        amp_dtype = choose_amp_dtype(self.experiment.train.precision, loader.device)
        dataset, model = self._tokenize(table), loader.load(self.folders[0], amp_dtype)
        groups, loaded = self._split_by_memory(model), [model]
        del model
        for folders in groups:
            models = loaded + [loader.load(f, amp_dtype) for f in folders[len(loaded) :]]
            loaded = []
            fold_logits = self._predict_together(models, dataset, tasks, amp_dtype, display)
            del models  # before the next one is loaded
            for folder, logits in zip(folders, fold_logits, strict=True):
                on_fold(folder, logits)
                yield logits

    def _predict_soup(
        self, table: Table, tasks: TaskSet, display: Display
    ) -> list[dict[str, np.ndarray]]:
        """The logits of the mean of the folds' weights, by task name."""
        device = default_device()
        amp_dtype = choose_amp_dtype(self.experiment.train.precision, device)
        model = prepare_model(make_soup(self.folders), device, amp_dtype)
        return self._predict_together([model], self._tokenize(table), tasks, amp_dtype, display)

    def _tokenize(self, table: Table) -> TokenizedDataset:
        """The rows as tokens, which are stored next to the folds."""
        # The tokenizer is the same in all folds of one experiment.
        tokenizer, cache = load_fold_tokenizer(self.folders[0]), self.run_folder.tokens
        experiment = self.experiment
        return tokenize_dataset(table.texts, tokenizer, experiment.model, cache, experiment.data)

    def _predict_together(
        self,
        models: list[MultiTaskModel],
        dataset: TokenizedDataset,
        tasks: TaskSet,
        amp_dtype: str,
        display: Display,
    ) -> list[dict[str, np.ndarray]]:
        """For every model its logits by task name; the models are on one device."""
        return predict_fold_logits(
            models,
            dataset,
            np.arange(len(dataset)),
            tasks=tasks.names,
            max_tokens=self.experiment.inference.max_tokens_per_batch,
            amp_dtype=amp_dtype,
            packed=runs_padding_free(models[0], self.experiment.model, models[0].device.type),
            on_batch=display.advance,
        )

    def _split_by_memory(self, model: MultiTaskModel) -> list[list[FoldFolder]]:
        """The folds whose models are in memory together: all of them, or one after the other.

        On a CPU a batch costs a thousandth of its forward pass, and memory is worth more.

        Args:
            model: of the first fold, on its device.
        """
        device = model.device
        if device.type == "cuda" and models_fit(
            model,
            len(self.folders) - 1,
            free_memory(device),
            has_copies=model.fast_encoder() is not None,
            shares_frozen=model.config.reference is not None,
        ):
            return [self.folders]
        return [[folder] for folder in self.folders]


def _check_finite(predictions: dict[str, np.ndarray], table: Table) -> None:
    """Refuse predictions that no program could use.

    Raises:
        InputError: a prediction is not finite, with the ids of such rows.
    """
    positions = find_non_finite(predictions)
    if len(positions):
        raise InputError(
            f"{table.path}: {describe_non_finite(table.ids, positions)}; in fp16 numbers overflow: "
            f"predict on a GPU with bf16 or on a CPU, or train with train.precision = 'fp32'"
        )


def _load_trained(folders: list[FoldFolder], trust_reader: bool) -> Experiment:
    experiment = check_together(folders)
    return experiment.with_origin(None) if trust_reader else experiment


def average_folds(
    fold_logits: Iterable[dict[str, np.ndarray]],
    tasks: Iterable[Task],
    average: str,
    power: float,
) -> dict[str, np.ndarray]:
    """The mean prediction over folds, task by task.

    Args:
        fold_logits: for every fold, task name to logits ``(rows, n_outputs)``; only one fold is in
            memory at a time.
        tasks: the predicted tasks.
        average: one of ``auxfold.postprocessing.averaging.AVERAGES``; or ``soup``, with the logits
            of one model.
        power: the exponent of the average ``power``.

    Returns:
        Task name to predictions ``(rows, n_outputs)``.
    """
    tasks, average = list(tasks), prediction_average(average)
    sums: dict[str, np.ndarray] = {}
    n_folds = 0
    for logits in fold_logits:
        n_folds += 1
        for task in tasks:
            values = logits[task.name].astype(np.float64)
            if average != "logit":
                values = to_scale(task, task.activate(values), average, power)
            sums[task.name] = sums[task.name] + values if task.name in sums else values
    return {
        task.name: from_scale(task, sums[task.name] / n_folds, average, power) for task in tasks
    }


def prediction_average(average: str) -> str:
    """How predictions are averaged under ``inference.average``: a soup has those of one model."""
    return "probability" if average == SOUP else average
