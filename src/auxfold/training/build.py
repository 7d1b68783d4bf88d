"""Assemble what a fold trains with: device, tokenizer, model, heads, optimizer, schedule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import set_seed
from transformers import PreTrainedTokenizerBase

from auxfold.config.experiment import Experiment
from auxfold.data.dataset import tokenize_dataset
from auxfold.data.sample_weights import fit_sample_weights
from auxfold.data.table import Table
from auxfold.model.allocator import tune_cpu_memory
from auxfold.model.amp import choose_amp_dtype, default_device
from auxfold.model.backbone import build_model, runs_padding_free
from auxfold.model.memory import free_memory, training_tokens
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.tokenizer import (
    check_first_token,
    check_token_ids,
    describe_slow_tokenizer,
    load_tokenizer,
    match_token_types,
)
from auxfold.tasks import TaskSet
from auxfold.training.epochs import EpochPlan
from auxfold.training.loop import StepTrainer
from auxfold.training.micro_batches import MicroBatchSplitter
from auxfold.training.objective import Objective
from auxfold.training.optimizer import make_optimizer
from auxfold.training.schedule import LearningRateSchedule
from auxfold.training.step_runner import StepRunner, make_step_runner
from auxfold.training.weighting.task_weighting import TaskWeighting

# Of a micro-batch: sums between matrix products stay in the cache, and padding is less. Losses that
# need a forward pass of their own where a step is split get larger ones.
CPU_MAX_TOKENS, CPU_MAX_TOKENS_OF_MEANS = 2048, 8192


@dataclass(frozen=True)
class FoldParts:
    """What a fold trains with.

    Attributes:
        tokenizer: of the backbone.
        epochs: which rows make the steps.
        stepper: makes the steps; holds model, optimizer, schedule and dataset.
        runner: makes them as fast as the device allows.
        amp_dtype: the number format of the forward pass: ``bf16``, ``fp16`` or ``fp32``.
        notes: what a person should know about the backbone, a line each.
    """

    tokenizer: PreTrainedTokenizerBase
    epochs: EpochPlan
    stepper: StepTrainer
    runner: StepRunner
    amp_dtype: str
    notes: list[str]

    @property
    def model(self) -> MultiTaskModel:
        """The model without what accelerate wraps around it."""
        return self.stepper.unwrapped_model


def build_fold(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    train_indices: np.ndarray,
    accelerator: Accelerator,
    seed: int,
    token_cache: Path | None = None,
) -> FoldParts:
    """Assemble everything that the training steps of a fold need.

    Args:
        experiment: what is trained.
        tasks: its tasks; they stay as they are, and copies are fitted to the rows to train on.
        table: the training table.
        train_indices: the rows of it to train on.
        accelerator: of :func:`start_accelerator`.
        seed: seeds new weights and everything random in the training.
        token_cache: the folder in which tokens are stored, or None to store nothing.

    Raises:
        InputError: a backbone or tokenizer that cannot be used, or rows that cannot be trained on.
    """
    set_seed(seed)
    tokenizer = load_tokenizer(experiment.model)
    heads = {task.name: task.head_width for task in tasks}
    model = build_model(experiment, heads, accelerator.device.type)
    model.to(accelerator.device)  # before the optimizer, which looks where the parameters are
    notes = [
        describe_slow_tokenizer(tokenizer),
        match_token_types(tokenizer, model.backbone, 2 if experiment.data.is_pair else 1),
    ]
    dataset = tokenize_dataset(
        table.texts, tokenizer, experiment.model, token_cache, experiment.data
    )
    check_token_ids(dataset, model.backbone, experiment.model.backbone)
    if experiment.model.pooling == "cls":
        check_first_token(dataset, model.backbone)
    tasks = tasks.fit(table.labels[train_indices])
    table = fit_sample_weights(experiment, table, train_indices)
    initialize_heads(model, experiment, tasks, table.labels[train_indices])
    weighting = TaskWeighting(experiment, accelerator)
    optimizer = make_optimizer(model, experiment.train, weighting.parameter_group())
    prepared, optimizer = accelerator.prepare(model, optimizer)
    epochs = EpochPlan.for_rows(experiment, tasks, table, dataset, train_indices)
    n_steps = experiment.train.epochs * epochs.steps_per_epoch
    amp_dtype = "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision
    stepper = StepTrainer(
        accelerator=accelerator,
        model=prepared,
        optimizer=optimizer,
        schedule=LearningRateSchedule(optimizer.optimizer, experiment.train, n_steps),
        objective=Objective(tasks, table, accelerator.device),
        weighting=weighting,
        dataset=dataset,
        settings=experiment.train,
        splitter=MicroBatchSplitter(
            dataset,
            max_tokens=choose_max_tokens(experiment, tasks, model, amp_dtype, accelerator),
            padding_free=runs_padding_free(model, experiment.model, accelerator.device.type),
            process=accelerator.process_index,
            n_processes=accelerator.num_processes,
        ),
    )
    return FoldParts(
        tokenizer=tokenizer,
        epochs=epochs,
        stepper=stepper,
        runner=make_step_runner(stepper, experiment.train, n_steps),
        amp_dtype=amp_dtype,
        notes=[note for note in notes if note is not None],
    )


def choose_max_tokens(
    experiment: Experiment,
    tasks: TaskSet,
    model: MultiTaskModel,
    amp_dtype: str,
    accelerator: Accelerator,
) -> int:
    """The most tokens of a micro-batch, by ``train.max_tokens_per_batch``.

    Args:
        experiment: what is trained.
        tasks: its tasks.
        model: on its device.
        amp_dtype: ``bf16``, ``fp16`` or ``fp32``.
        accelerator: of :func:`start_accelerator`.
    """
    setting = experiment.train.max_tokens_per_batch
    if setting != "auto":
        return setting
    if accelerator.device.type != "cuda":
        shaped = any(task.bias_loss_power is not None for task in tasks)
        return CPU_MAX_TOKENS_OF_MEANS if shaped else CPU_MAX_TOKENS
    tokens = training_tokens(
        model.backbone, amp_dtype, experiment.model.max_length, free_memory(accelerator.device)
    )
    if accelerator.num_processes == 1:
        return tokens
    # Equal in all processes, of which each one knows the micro-batches of the others.
    return int(accelerator.gather(torch.tensor([tokens], device=accelerator.device)).min())


def start_accelerator(experiment: Experiment) -> Accelerator:
    """The device and, as its ``mixed_precision``, the number format of the forward pass."""
    device = default_device()
    amp_dtype = choose_amp_dtype(experiment.train.precision, device)
    # Accelerate refuses another number format in the same process (a notebook), unless reset.
    AcceleratorState._reset_state()
    if device.type == "cpu":
        tune_cpu_memory()
    return Accelerator(mixed_precision="no" if amp_dtype == "fp32" else amp_dtype)


def initialize_heads(
    model: MultiTaskModel, experiment: Experiment, tasks: TaskSet, labels: np.ndarray
) -> None:
    """Set the heads of fitted tasks to the labels of the rows to train on.

    Args:
        model: the model with the heads.
        experiment: says whether biases start at the labels' rates.
        tasks: fitted to the same labels.
        labels: ``(rows, label columns)``.
    """
    for task, columns in tasks.items():
        model.set_task(task)
        if task.scale is not None:
            model.set_scale(task.name, task.scale.mean, task.scale.std)
        if task.bins is not None:
            model.set_bins(task.name, task.bins)
        if experiment.train.init_head_bias:
            bias = torch.from_numpy(task.initial_bias(labels[:, columns]))
            model.set_head_bias(task.name, bias)
