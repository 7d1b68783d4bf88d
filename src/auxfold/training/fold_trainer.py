"""The training of one fold: its loop, evaluations, selection, saves, and the finished folder."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.evaluation.scores import Evaluation
from auxfold.fairness.bias_table import format_bias_table
from auxfold.model.adapters.injection import load_trainable_state_dict, trainable_state_dict
from auxfold.model.backbone import describe_parameters
from auxfold.model.multitask import MultiTaskModel
from auxfold.storage.lock import FoldLock
from auxfold.storage.provenance import provenance
from auxfold.storage.records import replace_non_finite
from auxfold.storage.run_folder import FoldFolder
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import higher_is_better
from auxfold.training.build import FoldParts
from auxfold.training.checkpoint import Progress, WeightStore, load_state, save_state
from auxfold.training.computation import describe_computation
from auxfold.training.epochs import evaluation_steps
from auxfold.training.evaluator import FoldEvaluator
from auxfold.training.fold_files import write_fold
from auxfold.training.fold_log import FoldLog
from auxfold.training.optimizer import MovingAverage
from auxfold.training.signals import StopRequest
from auxfold.training.split import folds_info
from auxfold.training.step_counter import StepCounter
from auxfold.training.step_runner import training_context
from auxfold.training.time_limit import TimeLimit, TimeUp


@dataclass
class FoldTrainer:
    """The training of one fold.

    Attributes:
        folder: where its files go.
        valid_indices: the rows of the table that are held out; none for ``full``.
        parts: what the steps need.
        ema: the running mean of the weights, which is evaluated and kept in their place; or None.
        lock: of the folder; None in every process but the first.
        limit: when the training has to stop; None: when it is finished.
    """

    experiment: Experiment
    fold: int | str
    folder: FoldFolder
    tasks: TaskSet
    table: Table
    valid_indices: np.ndarray
    parts: FoldParts
    ema: MovingAverage | None = None
    lock: FoldLock | None = None
    limit: TimeLimit | None = None

    def __post_init__(self) -> None:
        self.progress = Progress()
        self.counter: StepCounter | None = None
        self._saved_at = time.monotonic()
        self.stepper = self.parts.stepper
        self.accelerator = self.stepper.accelerator
        self.weights = WeightStore(self.folder, self.experiment.selection)
        self.evaluator = FoldEvaluator(
            self.experiment,
            self.tasks,
            self.table,
            self.valid_indices,
            self.stepper.dataset,
            self.parts.amp_dtype,
        )
        # Of the last evaluation: task name to predictions of the held-out rows.
        self.predictions: dict[str, np.ndarray] = {}
        self.folds_info = folds_info(self.experiment, self.table)

    def restore(self) -> None:
        """Continue from the saved state, if there is one.

        Raises:
            InputError: the state belongs to other data or another device.
        """
        if self.folder.state.is_file():
            self.progress = load_state(self.folder.state, self._stateful_parts(), self._signature())
            self.stepper.splitter.limit(self.progress.max_tokens)

    def train(self) -> None:
        """Run the loop and fill the fold folder.

        An interruption leaves a state that ``--resume`` continues.
        """
        log = FoldLog(
            self.experiment,
            self.fold,
            self.tasks,
            self.progress,
            weighting=self.stepper.weighting,
            n_rows=self.experiment.train.epochs * self.parts.epochs.rows_per_epoch,
            environment={"precision": self.parts.amp_dtype, "device": self.accelerator.device.type},
            quiet=not self.accelerator.is_main_process,
        )
        log.display.say(self._header(log.title))
        for note in [*self.parts.notes, self.stepper.weighting.method.notice]:
            if note:
                log.display.say(note)
        try:
            with StopRequest(stops=self.accelerator.num_processes == 1) as stop:
                with training_context(self.accelerator.device), closing(self.parts.runner):
                    self.run(log, stop)
                if self.accelerator.is_main_process:
                    evaluation = self.finish()
                    self.check_finite(evaluation, log)
                    log.finish(self.folder, evaluation)
        except BaseException:
            log.fail()
            raise

    def run(self, log: FoldLog, stop: StopRequest) -> None:
        """Train until the last epoch or until early stopping.

        Raises:
            KeyboardInterrupt: a stop was requested; the state is saved.
            InputError: losses or gradients are not finite, step after step.
            TimeUp: the time for the fold is up; the state is saved.
        """
        settings, progress = self.experiment.train, self.progress
        self.counter = counter = StepCounter(self.parts.runner, progress, log, self.table.ids)
        if self.limit is not None:
            self.save()  # shows how long it takes, and whether there is room
            if not progress.rows:
                self.limit.save_seconds *= 3  # later states have two moments of each parameter
        self._saved_at = time.monotonic()
        self.stepper.model.train()
        while progress.epoch < settings.epochs and not progress.stopped:
            steps = self.parts.epochs.steps(progress.epoch)
            evaluate_after = evaluation_steps(len(steps), settings.evaluations_per_epoch)
            first = progress.step_in_epoch
            swapped = self.parts.epochs.swapped(progress.epoch)
            windows = self.parts.epochs.windows(progress.epoch)
            self.parts.runner.start_epoch(steps[first:], swapped, windows)
            for number, indices in enumerate(steps[first:], start=first + 1):
                self.check_time(evaluates=number in evaluate_after)
                self.take_step(indices)
                if number in evaluate_after:
                    counter.read()
                    self.evaluate_in_time(number / len(steps), log)
                    counter.restart_clock()
                elif counter.is_due:
                    counter.read()
                self.save_if_due(log, stop)
                stop.check()
                if progress.stopped:
                    break
            self.stepper.weighting.finish_epoch()
            progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
            self.save()
            stop.check()

    def save_if_due(self, log: FoldLog, stop: StopRequest) -> None:
        """Save the state every few minutes, and when a signal asks for it."""
        minutes = (time.monotonic() - self._saved_at) / 60
        asked = stop.pop_save_request()
        if asked or stop.requested or minutes > self.experiment.train.checkpoint_minutes:
            self.save()
            self._saved_at = time.monotonic()
        if asked:
            log.display.say(f"{self.folder.state} is saved")

    def take_step(self, indices: np.ndarray) -> None:
        """One optimizer step, which the average of the weights follows."""
        result = self.parts.runner.train_step(indices)
        if self.ema is not None:
            self.ema.update(self.parts.model, result.is_finite)

    def check_time(self, evaluates: bool) -> None:
        """Stop before a step after which there would be too little time.

        Args:
            evaluates: whether an evaluation follows the step.

        Raises:
            TimeUp: the state is saved.
        """
        if self.limit is None:
            return
        if self.limit.is_near and self.counter is not None:
            self.counter.read()
        predicts_at_end = self.experiment.selection.keep == "average"
        if self.limit.is_over_anywhere(self.accelerator, evaluates + predicts_at_end):
            self.save()
            raise TimeUp

    def evaluate_in_time(self, share_of_epoch: float, log: FoldLog) -> None:
        """:meth:`evaluate_and_select`, whose duration counts for the time that is left."""
        started = 0.0 if self.limit is None else self.limit.clock()
        self.evaluate_and_select(share_of_epoch, log)
        if self.limit is not None:
            self.limit.add_evaluation(started)

    def evaluate_and_select(self, share_of_epoch: float, log: FoldLog) -> None:
        """Validate, record, keep the best weights, and stop early when asked to."""
        progress, selection = self.progress, self.experiment.selection
        record: dict[str, Any] = {
            "epoch": progress.epoch + share_of_epoch,
            "rows": progress.rows,
            "seconds": round(progress.seconds, 2),
            "learning_rate": self.stepper.schedule.get_last_lr()[0],
            **progress.pop_window(),
        }
        if summary := self.stepper.weighting.pop_eval_summary():
            record["task_weighting"] = summary
        evaluation = None
        if len(self.valid_indices):
            evaluation = self.evaluate()
            record["metrics"] = evaluation.metrics
            record |= self.check_finite(evaluation, log)
            self.select(evaluation.metrics)
        elif selection.keep == "average":  # without validation rows the weights are averaged too
            self.keep_weights()
        progress.history.append(replace_non_finite(record))
        is_best = progress.best is not None and progress.since_best == 0
        log.evaluation(record, is_best)
        if evaluation is not None and evaluation.bias is not None:
            log.display.say(format_bias_table(evaluation.bias))

    def check_finite(self, evaluation: Evaluation, log: FoldLog) -> dict[str, int]:
        """Say where predictions are not finite; the number of these rows for the history."""
        line = self.evaluator.describe_non_finite(evaluation)
        if line is None:
            return {}
        log.display.say(f"{log.title}: {line}")
        return {"non_finite_rows": len(evaluation.non_finite)}

    def select(self, metrics: dict[str, float | None]) -> None:
        """Keep the weights of the best evaluation so far, or of every one, as ``keep`` says."""
        metric, selection = self.tasks.selection_metric, self.experiment.selection
        is_best = self.progress.select(metrics[metric], higher_is_better(metric))
        if is_best or selection.keep != "best":
            self.keep_weights()
        self.progress.stopped = 0 < selection.early_stopping <= self.progress.since_best

    def evaluate(self) -> Evaluation:
        """The metrics of the validation rows under the weights that would be kept."""
        self.predictions = self.evaluator.predict(self.kept_model)
        return self.evaluator.score(self.predictions)

    @property
    def kept_model(self) -> MultiTaskModel:
        """The model whose weights are evaluated and kept: the trained one, or its average."""
        if self.ema is None:
            return self.parts.model
        assert isinstance(self.ema.module, MultiTaskModel), "a copy of the trained model"
        return self.ema.module

    def keep_weights(self) -> None:
        """Store the weights and the predictions of this evaluation."""
        self.progress.stored_evaluation = len(self.progress.history)
        if self.accelerator.is_main_process:
            weights = trainable_state_dict(self.kept_model)
            self.weights.save(weights, self.predictions, len(self.progress.history))

    def save(self) -> None:
        """Write the state from which the training can be resumed.

        Raises:
            InputError: another process trains the fold by now, or the disk is full.
        """
        started = 0.0 if self.limit is None else self.limit.clock()
        if self.counter is not None:
            self.counter.read()
        if self.accelerator.is_main_process:
            if self.lock is not None:
                self.lock.check()
            self.progress.max_tokens = self.stepper.splitter.reduced_to
            self.progress.add_computation(describe_computation(self.parts))
            path, parts = self.folder.state, self._stateful_parts()
            save_state(path, self.progress, parts, self._signature())
            self.weights.prune(self.progress)
        if self.limit is not None:
            self.limit.add_save(started)

    def finish(self) -> Evaluation:
        """Write the kept weights, out-of-fold predictions and records into the fold folder.

        Raises:
            InputError: another process trains the fold by now, or the disk is full.
        """
        if self.lock is not None:
            self.lock.check()
        model, evaluation, oof = self.kept_model, Evaluation({}, None), None
        stored = self.weights.load(self.progress, model.device)
        if stored is not None:
            load_trainable_state_dict(model, stored.weights)
        if len(self.valid_indices):
            # Of averaged weights there are no predictions yet.
            predictions = (stored and stored.predictions) or self.evaluator.predict(model)
            evaluation = self.evaluator.score(predictions)
            oof = self.evaluator.out_of_fold_frame(self.fold, predictions)
        write_fold(
            self.folder,
            self.experiment,
            model,
            self.parts.tokenizer,
            oof=oof,
            metrics=evaluation.metrics,
            history=self.progress.history,
            record=self.describe(),
        )
        return evaluation

    def describe(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        progress = self.progress
        selection = {
            "metric": self.tasks.selection_metric,
            "value": progress.best,
            "at": progress.best_at,
            **self.weights.describe(len(progress.history)),
        }
        return {
            "fold": self.fold,
            "experiment_fingerprint": self.experiment.fingerprint(),
            "data_fingerprint": self.folds_info["data_fingerprint"],
            "folds": self.folds_info,
            "rows": {"train": len(self.parts.epochs.indices), "valid": len(self.valid_indices)},
            "selection": selection,
            "precision": self.parts.amp_dtype,
            "device": self.accelerator.device.type,
            "processes": self.accelerator.num_processes,
            "computations": progress.computations,
            **progress.speed(),
            **provenance(),
        }

    def _stateful_parts(self) -> dict[str, Any]:
        """Everything whose state a resumed training restores."""
        parts = {
            "model": self.parts.model,
            "optimizer": self.stepper.optimizer,
            "schedule": self.stepper.schedule,
            "task_weighting": self.stepper.weighting,
            "scaler": self.accelerator.scaler,
            "ema": self.ema,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _signature(self) -> str:
        # The experiment is compared key by key when the working folder is opened.
        rows, device = self.folds_info["data_fingerprint"], self.accelerator.device.type
        return "/".join(map(str, (rows, self.fold, self.parts.amp_dtype, device)))

    def _header(self, title: str) -> str:
        return (
            f"{title}: {len(self.parts.epochs.indices):,} rows to train on, "
            f"{len(self.valid_indices):,} to validate, {describe_parameters(self.parts.model)}, "
            f"{self.parts.amp_dtype} on {self.accelerator.device.type}"
        )
