"""How fast this machine trains, predicts and scores rows of a fold, from a few of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from auxfold.training.build import FoldParts
from auxfold.training.evaluator import FoldEvaluator
from auxfold.training.optimizer import MovingAverage
from auxfold.training.step_runner import training_context

STEP_SECONDS = 20.0  # of timed steps, about
PREDICTION_SECONDS = 8.0  # of timed predictions, about
MIN_STEPS = 4
MIN_ROWS = 32
N_PASSES = 3  # over the timed steps of a GPU, where a pass takes little time

Clock = Callable[[], float]


@dataclass(frozen=True)
class StepSpeed:
    """How fast steps are.

    Attributes:
        seconds_per_row: of a row of average length.
        n_steps: the steps that were timed.
        warm_up_seconds: what the first pass over them took longer, as a training does once.
    """

    seconds_per_row: float
    n_steps: int
    warm_up_seconds: float = 0.0


def measure_steps(
    parts: FoldParts, ema: float | None, clock: Clock = time.perf_counter
) -> StepSpeed:
    """Train a few steps of the first epoch, as the loop of a fold does.

    Args:
        parts: of the fold, on a sample of its rows.
        ema: ``train.ema``.
        clock: gives seconds.
    """
    runner, stepper = parts.runner, parts.stepper
    steps, lengths = parts.epochs.steps(0), stepper.dataset.lengths()
    average = None if ema is None else MovingAverage(parts.model, ema)
    is_gpu = stepper.accelerator.device.type == "cuda"

    def run(numbers: Sequence[int]) -> None:
        chosen = [steps[number] for number in numbers]
        runner.start_epoch(chosen, parts.epochs.swapped(0), parts.epochs.windows(0))
        for indices in chosen:
            result = runner.train_step(indices)
            if average is not None:
                average.update(parts.model, result.is_finite)
            if not is_gpu or stepper.log.is_full:
                _read(parts)
        _read(parts)

    stepper.model.train()
    tokens = np.array([int(lengths[indices].sum()) for indices in steps])
    n_rows = np.array([len(indices) for indices in steps])
    with training_context(stepper.accelerator.device), closing(runner):
        return time_steps(run, tokens, n_rows, N_PASSES if is_gpu else 0, clock)


def _read(parts: FoldParts) -> None:
    """Read what steps gave, which waits for them."""
    for _ in parts.stepper.log.read():
        parts.stepper.weighting.read_step()


def time_steps(
    run: Callable[[Sequence[int]], None],
    tokens: np.ndarray,
    n_rows: np.ndarray,
    n_passes: int,
    clock: Clock,
) -> StepSpeed:
    """Time steps that stand for all: of every length as many as there are.

    The longest step comes first and is not counted: it shows the memory, and libraries set
    themselves up in it. The median one tells how many steps fit into the time.

    Args:
        run: trains the steps with these numbers and waits for them.
        tokens: ``(steps,)`` tokens of each step.
        n_rows: ``(steps,)`` rows of each step.
        n_passes: how often to train the chosen steps after a first pass that is not counted,
            because captures and compilations belong to it. The median counts. 0: the first pass
            itself counts.
        clock: gives seconds.
    """

    def seconds(numbers: Sequence[int]) -> float:
        started = clock()
        run(numbers)
        return clock() - started

    by_tokens = np.argsort(tokens, kind="stable")
    longest, median = int(by_tokens[-1]), int(by_tokens[len(tokens) // 2])
    run([longest])
    expected = seconds([median]) * tokens.mean() / tokens[median]
    n_timed = int(np.clip(STEP_SECONDS / max(expected, 1e-9), MIN_STEPS, len(tokens)))
    n_timed = min(n_timed, len(tokens))
    # The middle ones of equally many steps each, from the shortest to the longest.
    middles = by_tokens[((np.arange(n_timed) + 0.5) * len(tokens) / n_timed).astype(int)]
    timed = np.random.default_rng(0).permutation(middles).tolist()
    first = seconds(timed)
    counted = float(np.median([seconds(timed) for _ in range(n_passes)])) if n_passes else first
    per_row = counted / tokens[timed].sum() * tokens.sum() / n_rows.sum()
    return StepSpeed(float(per_row), n_timed, max(first - counted, 0.0))


def measure_prediction(
    parts: FoldParts,
    evaluator: FoldEvaluator,
    seconds_per_row: float,
    clock: Clock = time.perf_counter,
) -> float:
    """Seconds to predict one held-out row of average length.

    Args:
        parts: of the fold, on a sample of its rows.
        evaluator: of a sample of the held-out rows, in random order.
        seconds_per_row: of training, about three times as long as a prediction.
        clock: gives seconds.
    """
    n_rows = max(int(3 * PREDICTION_SECONDS / max(seconds_per_row, 1e-9)), MIN_ROWS)
    indices, dataset = evaluator.indices[:n_rows], evaluator.dataset
    lengths = dataset.lengths() * dataset.n_windows()
    timed = replace(evaluator, indices=indices)
    if parts.stepper.accelerator.device.type == "cuda":
        timed.predict(parts.model)
    started = clock()
    timed.predict(parts.model)
    elapsed = clock() - started
    return float(elapsed / lengths[indices].sum() * lengths[evaluator.indices].mean())


def measure_scoring(evaluator: FoldEvaluator, clock: Clock = time.perf_counter) -> float:
    """Seconds to score predictions of all held-out rows, with random ones.

    Args:
        evaluator: of all held-out rows.
        clock: gives seconds.
    """
    random = np.random.default_rng(0)
    shape = len(evaluator.indices)
    predictions = {
        task.name: task.activate(random.normal(size=(shape, task.n_outputs)).astype(np.float32))
        for task in evaluator.tasks
    }
    started = clock()
    evaluator.score(predictions)
    return clock() - started
