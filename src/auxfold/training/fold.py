"""Train one fold, start to end: rows, model, loop, out-of-fold predictions, fold folder."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed

from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.batches import tokenize_dataset
from auxfold.data.sampling import rows_of_epoch, steps_per_epoch
from auxfold.data.table import Table
from auxfold.evaluation.scores import checked_metric, evaluate_rows
from auxfold.fairness.bias_table import format_bias_table
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.inference.predict import predict_logits
from auxfold.model.adapters.injection import load_trained_state, trained_state
from auxfold.model.allocator import keep_freed_memory
from auxfold.model.backbone import load_tokenizer, new_model, parameters_in_words
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.precision import best_device, choose_precision
from auxfold.report.model_card import model_card
from auxfold.storage.atomic import write_frame, write_json, write_text
from auxfold.storage.provenance import provenance
from auxfold.storage.run_folder import (
    FULL,
    FoldFolder,
    RunFolder,
    check_trained_with,
    finish_working,
    start_working,
)
from auxfold.tasks import (
    Task,
    label_slices,
    make_tasks,
    prediction_frame,
)
from auxfold.training.checkpoint import Progress, WeightStore, load_state, save_state
from auxfold.training.fold_log import FoldLog
from auxfold.training.loop import Loop
from auxfold.training.objective import Objective
from auxfold.training.optimizer import averaged, make_optimizer, make_schedule
from auxfold.training.signals import ask_to_stop_on_signals
from auxfold.training.split import all_negative_mask, folds_info, load_training_table, split
from auxfold.training.weighting.task_weighting import TaskWeighting


def train_fold(
    experiment: Experiment, fold: int | str, resume: bool = False, overwrite: bool = False
) -> FoldFolder:
    """Train fold ``k``, or one model on all rows (``fold="full"``), and fill its folder.

    Raises:
        InputError: bad input, no or foreign folds, or the fold exists (see ``resume`` and
            ``overwrite``).
    """
    fold_folder = RunFolder.of(experiment).fold(fold)
    table = load_training_table(experiment)
    if resume and fold_folder.exists() and not fold_folder.working.exists():
        check_trained_with([fold_folder], experiment, table.fingerprint())
        print(f"{fold_folder.path} is finished already")
        return fold_folder
    train_rows, valid_rows = split(experiment, table, fold)
    tasks = make_tasks(experiment)
    metric = checked_metric(experiment, table, valid_rows)
    accelerator, precision = start_accelerator(experiment)
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            start_working(fold_folder, resume, overwrite)
    run = FoldTrainer(
        experiment, fold, table, tasks, accelerator, precision, fold_folder,
        train_rows, valid_rows, metric,
    )  # fmt: skip
    run.train()
    return fold_folder


def start_accelerator(experiment: Experiment) -> tuple[Accelerator, str]:
    """The device and its number format: ``bf16``, ``fp16`` or ``fp32``."""
    device = best_device()
    precision = choose_precision(experiment.train.precision, device)
    # Accelerate refuses another precision in the same process (a notebook), unless reset.
    AcceleratorState._reset_state()
    if device.type == "cpu":
        keep_freed_memory()
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision), precision


def start_heads(
    model: MultiTaskModel, experiment: Experiment, tasks: list[Task], labels: np.ndarray
) -> None:
    """Fit tasks and heads to the labels of the rows to train on, ``(rows, label columns)``."""
    for task, columns in label_slices(tasks):
        task.fit(labels[:, columns])
        if task.scale is not None:
            model.set_scale(task.name, task.scale.mean, task.scale.std)
        if task.bins is not None:
            model.set_bins(task.name, task.bins)
        if experiment.train.init_head_bias:
            bias = torch.from_numpy(task.initial_bias(labels[:, columns]))
            model.set_head_bias(task.name, bias)


class FoldTrainer:
    """The pieces of one fold's training, put together."""

    def __init__(
        self,
        experiment: Experiment,
        fold: int | str,
        table: Table,
        tasks: list[Task],
        accelerator: Accelerator,
        precision: str,
        folder: FoldFolder,
        train_rows: np.ndarray,
        valid_rows: np.ndarray,
        metric: str,
    ) -> None:
        self.experiment, self.fold, self.table, self.tasks = experiment, fold, table, tasks
        self.accelerator, self.precision, self.folder = accelerator, precision, folder
        self.train_rows, self.valid_rows = train_rows, valid_rows
        self.metric, self.info = metric, folds_info(experiment, table)
        self.bias: Bias | None = None  # of the last evaluation
        # Each fold its own stream, each the same again for an equal seed.
        number = 999 if fold == FULL else int(fold)
        set_seed((experiment.seed * 1000 + number) % 2**32)
        self.tokenizer = load_tokenizer(experiment.model)
        cache = RunFolder.of(experiment).tokens
        self.rows = tokenize_dataset(table.texts, self.tokenizer, experiment.model, cache)
        heads = {task.name: task.head_width for task in tasks}
        model = new_model(experiment, heads, accelerator.device.type)
        start_heads(model, experiment, tasks, table.labels[train_rows])
        self.task_weighting = TaskWeighting(experiment, accelerator)
        optimizer = make_optimizer(model, experiment.train, self.task_weighting.group())
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.sources = table.sources_of(train_rows)
        self.negatives = all_negative_mask(experiment, table, train_rows)
        sampled = (experiment.train, len(train_rows), self.sources, self.negatives)
        self.rows_per_epoch = int(rows_of_epoch(*sampled).sum())
        n_steps = experiment.train.epochs * steps_per_epoch(*sampled)
        self.schedule = make_schedule(self.optimizer.optimizer, experiment.train, n_steps)
        self.averaged = None
        if experiment.train.ema is not None:
            self.averaged = averaged(self._bare(), experiment.train.ema)
        self.kept_weights = WeightStore(folder, experiment.selection)
        self.progress = Progress()
        if folder.state.is_file():
            self.progress = load_state(folder.state, self._parts(), self._signature())

    def _bare(self) -> MultiTaskModel:
        return self.accelerator.unwrap_model(self.model)

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self._bare(), "optimizer": self.optimizer, "schedule": self.schedule,
                 "balance": self.task_weighting}  # fmt: skip
        extra = {"scaler": self.accelerator.scaler, "averaged": self.averaged}
        return parts | {name: part for name, part in extra.items() if part is not None}

    def _kept(self) -> MultiTaskModel:
        """The model whose weights are evaluated and kept: the trained one, or its average."""
        return self._bare() if self.averaged is None else self.averaged.module

    def _step_done(self, progress: Progress, rows: int) -> None:
        if self.averaged is not None:
            self.averaged.update_parameters(self._bare())
        self.log.step(progress, rows)

    def _signature(self) -> str:
        what = (self.experiment.fingerprint(), self.info["data_fingerprint"], self.fold)
        return "/".join(map(str, (*what, self.precision, self.accelerator.device.type)))

    def train(self) -> None:
        """Run the loop and fill the fold folder.

        An interruption leaves a state that ``--resume`` continues.
        """
        self.log = FoldLog(
            self.experiment,
            self.fold,
            self.progress,
            rows=self.experiment.train.epochs * self.rows_per_epoch,
            learning_rate=lambda: self.schedule.get_last_lr()[0],
            task_weighting=self.task_weighting.point,
            facts={"precision": self.precision, "device": self.accelerator.device.type},
            quiet=not self.accelerator.is_main_process,
        )
        self.log.display.say(self._header(self.log.title))
        if self.task_weighting.method.note:
            self.log.display.say(self.task_weighting.method.note)
        loop = Loop(
            experiment=self.experiment,
            accelerator=self.accelerator,
            model=self.model,
            optimizer=self.optimizer,
            schedule=self.schedule,
            objective=Objective(self.tasks, self.table, self.accelerator.device),
            task_weighting=self.task_weighting,
            rows=self.rows,
            train_rows=self.train_rows,
            sources=self.sources,
            negatives=self.negatives,
            progress=self.progress,
            metric=self.metric,
            evaluate=self._evaluate if len(self.valid_rows) else None,
            keep=self._keep,
            save=self._save,
            on_step=self._step_done,
            on_evaluation=self._told,
        )
        try:
            with ask_to_stop_on_signals(loop, alone=self.accelerator.num_processes == 1):
                loop.run()
            self._finish()
        except BaseException:
            self.log.fail()
            raise

    def _header(self, title: str) -> str:
        return (
            f"{title}: {len(self.train_rows):,} rows to train on, {len(self.valid_rows):,} to "
            f"validate, {parameters_in_words(self._bare())}, "
            f"{self.precision} on {self.accelerator.device.type}"
        )

    def _predict(self) -> dict[str, np.ndarray]:
        logits = predict_logits(
            self._kept(),
            self.rows,
            self.valid_rows,
            tasks=[task.name for task in self.tasks],
            max_tokens=self.experiment.inference.max_tokens_per_batch,
            precision=self.precision,
        )
        return {task.name: task.activate(logits[task.name]) for task in self.tasks}

    def _evaluate(self) -> dict[str, float | None]:
        found = evaluate_rows(self.experiment, self.table, self.valid_rows, self._predict())
        self.bias = found.bias
        return found.metrics

    def _told(self, record: dict[str, Any]) -> None:
        self.log.evaluation(record, is_best=self.progress.since_best == 0)
        if self.bias is not None:
            self.log.display.say(format_bias_table(self.bias))

    def _keep(self) -> None:
        if self.accelerator.is_main_process:
            self.kept_weights.keep(trained_state(self._kept()), len(self.progress.history))

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            save_state(self.folder.state, self.progress, self._parts(), self._signature())
            self.kept_weights.forget(len(self.progress.history))

    def _finish(self) -> None:
        """Best weights, out-of-fold predictions and records into the fold folder."""
        if not self.accelerator.is_main_process:
            return
        model, working = self._kept(), FoldFolder(self.folder.working)
        metrics: dict[str, float | None] = {}
        bias = None
        weights = self.kept_weights.weights(len(self.progress.history), model.device)
        if weights is not None:
            load_trained_state(model, weights)
        if len(self.valid_rows):
            predictions = self._predict()
            found = evaluate_rows(self.experiment, self.table, self.valid_rows, predictions)
            metrics, bias = found.metrics, found.bias
            ids = self.table.ids[self.valid_rows]
            name = self.experiment.data.id_column
            write_frame(working.oof, prediction_frame(name, ids, self.tasks, predictions))
        model.save_pretrained(working.path)
        self.tokenizer.save_pretrained(working.path)
        write_text(working.experiment, to_toml(self.experiment))
        lines = (json.dumps(record, allow_nan=False) for record in self.progress.history)
        write_text(working.history, "".join(line + "\n" for line in lines))
        write_json(working.metrics, metrics)
        record = self._record()
        write_text(working.card, model_card(self.experiment, record, metrics))
        write_json(working.run, record)
        finish_working(self.folder)
        self.log.display.close()
        self.log.finish(self.folder, metrics, bias)

    def _record(self) -> dict[str, Any]:
        progress = self.progress
        return {
            "fold": self.fold,
            "experiment_fingerprint": self.experiment.fingerprint(),
            "data_fingerprint": self.info["data_fingerprint"],
            "folds": self.info,
            "rows": {"train": len(self.train_rows), "valid": len(self.valid_rows)},
            "selection": {
                "metric": self.metric,
                "value": progress.best,
                "at": progress.best_at,
                **self.kept_weights.record(len(progress.history)),
            },
            "precision": self.precision,
            "device": self.accelerator.device.type,
            "processes": self.accelerator.num_processes,
            "seconds": round(progress.seconds, 2),
            "rows_per_second": round(progress.rows / max(progress.seconds, 1e-9), 1),
            **provenance(),
        }
