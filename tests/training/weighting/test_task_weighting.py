"""Adapting weights: each method by hand, where they act, and that nothing else changes."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from auxfold.config import TaskWeightingSettings
from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.data.batches import tokenize_dataset
from auxfold.data.table import read_train
from auxfold.errors import InputError
from auxfold.model.backbone import load_tokenizer, new_model
from auxfold.tasks import make_tasks
from auxfold.training.checkpoint import Progress
from auxfold.training.fold import train_fold
from auxfold.training.loop import Loop
from auxfold.training.objective import Objective
from auxfold.training.optimizer import make_optimizer, make_schedule
from auxfold.training.split import create_folds
from auxfold.training.weighting.gram import Gram, RunningGram
from auxfold.training.weighting.methods import Method, StepLosses
from auxfold.training.weighting.task_weighting import METHODS, TaskWeighting
from conftest import make_experiment, make_frame, train_in_two_processes

STILL = {"head_dropout": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}
TRAIN = Path(__file__).parents[3] / "scripts/train.py"
NAN = float("nan")


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def seen(*losses: float, present: list[bool] | None = None) -> StepLosses:
    told = doubles(*losses)
    return StepLosses(
        told, torch.ones(len(told), dtype=bool) if present is None else torch.tensor(present)
    )


def method(name: str, weights: tuple[float, ...] = (1.0, 1.0), **keys) -> Method:
    """A method with the first task as the main one."""
    settings = TaskWeightingSettings(method=name, **keys)
    gram = RunningGram(len(weights), settings.ema_decay)
    return METHODS[name](settings, doubles(*weights), 0, gram)


def feed(made: Method, gradients: list, present: list[bool] | None = None) -> None:
    """One step whose gradients at the features are ``(tasks, rows, hidden)``."""
    gram = Gram.of(torch.tensor(gradients, dtype=torch.float64))
    n = len(gradients)
    made.gram.add(gram, torch.ones(n, dtype=bool) if present is None else torch.tensor(present))


def experiment_of(backbone: str, **changes) -> Experiment:
    model = {"backbone": backbone, "max_length": 24, **STILL, **changes.pop("model", {})}
    return make_experiment("train.csv", backbone, model=model, **changes)


def make_loop(experiment: Experiment) -> Loop:
    """A loop over all rows of the table, its model the same in every call."""
    AcceleratorState._reset_state()
    accelerator, table, tasks = (
        Accelerator(cpu=True),
        read_train(experiment),
        make_tasks(experiment),
    )
    torch.manual_seed(0)
    model = new_model(experiment, {task.name: task.n_outputs for task in tasks})
    task_weighting = TaskWeighting(experiment, accelerator)
    optimizer = make_optimizer(model, experiment.train, task_weighting.group())
    model, optimizer = accelerator.prepare(model, optimizer)
    nothing = lambda *_: None  # noqa: E731
    return Loop(
        experiment, accelerator, model.train(), optimizer,
        make_schedule(optimizer.optimizer, experiment.train, 100), Objective(tasks, table), task_weighting,
        tokenize_dataset(table.texts, load_tokenizer(experiment.model), experiment.model),
        np.arange(len(table)), Progress(), "main/auc", None, nothing, nothing, nothing, nothing,
    )  # fmt: skip


def gradients_of(loop: Loop, rows: np.ndarray) -> dict[str, torch.Tensor]:
    """The gradients of one step, as they are after its last backward pass."""
    found: dict[str, torch.Tensor] = {}
    end = loop.task_weighting.end

    def watch(losses):
        found.update(
            {
                n: torch.zeros_like(p) if p.grad is None else p.grad.clone()  # an absent head
                for n, p in loop.model.named_parameters()
            }
        )
        end(losses)

    loop.task_weighting.end = watch
    loop.train_step(rows)
    loop.task_weighting.end = end
    return found


# The methods, by hand.


def test_uncertainty_is_the_closed_form_of_its_loss():
    made = method("uncertainty", weights=(1.0, 0.25))
    s = torch.tensor([0.3, -2.0])
    with torch.no_grad():
        made.log_variances.copy_(s)
    losses = doubles(0.7, 0.1)
    leaf = s.double().requires_grad_()
    total = (doubles(1.0, 0.25) * (torch.exp(-leaf) * losses + leaf / 2)).sum()
    total.backward()
    made.learn(StepLosses(losses, torch.tensor([True, True])))
    torch.testing.assert_close(made.log_variances.grad, leaf.grad.float())
    torch.testing.assert_close(made.factors(), torch.exp(-s).double())
    assert made.objective(losses) == pytest.approx(float(total.detach()))
    assert made.objective(doubles(0.7, 0.0)) < made.objective(losses)
    made.learn(seen(0.7, 0.0, present=[True, False]))
    assert made.log_variances.grad[1] == 0.0, "an absent task contributes nothing, s/2 included"


def test_dwa_compares_the_last_two_epochs():
    made = method("dwa", temperature=2.0)
    for losses in ([(0.8, 1.0), (0.4, 1.0)], [(0.3, 1.0), (0.3, 0.5)]):
        assert made.factors().tolist() == [1.0, 1.0]
        for pair in losses:
            made.learn(seen(*pair))
        made.learn(seen(99.0, 99.0, present=[False, False]))
        made.epoch_done()
    ratios = np.array([0.3 / 0.6, 0.75 / 1.0])
    expected = 2 * np.exp(ratios / 2) / np.exp(ratios / 2).sum()
    np.testing.assert_allclose(made.factors(), expected)


def test_gradnorm_goes_down_its_subgradient():
    made = method("gradnorm", weights=(1.0, 0.5), ema_decay=0.0, alpha=1.0, learning_rate=0.1)
    feed(made, [[[3.0, 4.0]], [[1.0, 0.0]]])  # norms 5 and 1/0.5 = 2 without task.weight
    made.learn(seen(1.0, 1.0))
    # Both have learnt nothing: the target is the mean, 3.5. The first is above, the second below.
    moved = np.array([1 - 0.1 * 5 / 3.5, 1 + 0.1 * 2 / 3.5])
    np.testing.assert_allclose(made.factors(), 2 * moved / moved.sum())
    before = made.factors().numpy()
    made.learn(seen(0.05, 1.0))  # the first has learnt nearly everything, the second nothing
    weighted = before * [5, 2]
    rates = np.array([0.05, 1.0]) / 0.525
    slope = np.sign(weighted - weighted.mean() * rates) * [5, 2] / weighted.mean()
    moved = before - 0.1 * slope
    np.testing.assert_allclose(made.factors(), 2 * moved / moved.sum())


@pytest.mark.parametrize(("alpha", "first_goes_up"), [(0.0, False), (1.0, True)])
def test_gradnorms_alpha_helps_the_slow_task(alpha, first_goes_up):
    made = method("gradnorm", ema_decay=0.0, alpha=alpha, learning_rate=1e-6)
    feed(made, [[[5.0]], [[4.0]]])
    made.learn(seen(1.0, 1.0))
    before = made.factors()
    made.learn(seen(0.9, 0.3))  # the first's norm is above the mean, but it has learnt less
    assert (made.factors()[0] > before[0]) == first_goes_up


def test_gradnorm_stays_positive_and_keeps_its_sum():
    made = method("gradnorm", ema_decay=0.0, learning_rate=5.0)
    for _ in range(5):
        feed(made, [[[100.0]], [[1.0]]])
        made.learn(seen(1.0, 1.0))
        assert (made.factors() > 0).all() and float(made.factors().sum()) == pytest.approx(2.0)


def test_famo_helps_the_loss_that_fell_less():
    made = method("famo", ema_decay=0.0, learning_rate=0.025)
    assert made.factors().tolist() == [1.0, 1.0]
    made.learn(seen(0.5, 0.2))
    np.testing.assert_allclose(made.factors(), [2 * 2 / 7, 2 * 5 / 7], rtol=1e-6)
    made.look_again(seen(0.5, 0.2), seen(0.4, 0.19))
    # Adam's first step is the rate, against the gradient's sign.
    np.testing.assert_allclose(made.logits.detach(), [-0.025, 0.025], rtol=1e-4)
    shares = np.exp([-0.025, 0.025]) / np.array([0.5, 0.2])
    np.testing.assert_allclose(made.factors(), 2 * shares / shares.sum(), rtol=1e-5)


def test_famo_moves_its_logits_as_torchjd_does():
    scalarization = pytest.importorskip("torchjd.scalarization")
    made, other = method("famo", ema_decay=0.0), scalarization.FAMO(2, lr=0.025, weight_decay=1e-3)
    for before, after in (((0.5, 0.2), (0.4, 0.19)), ((0.4, 0.3), (0.41, 0.1))):
        made.look_again(seen(*before), seen(*after))
        other(torch.tensor(before))
        other.update(torch.tensor(after))
    torch.testing.assert_close(made.logits.detach().float(), other._w.detach())


def test_main_first_is_the_positive_cosine_of_the_rows_that_both_label():
    made = method("main_first", weights=(1.0, 1.0, 1.0, 1.0), ema_decay=0.0)
    assert made.factors().tolist() == [1.0] * 4, "before the first step"
    feed(made, [
        [[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]],  # main, not labelled in the last row
        [[1.0, 1.0], [0.0, 0.0], [9.0, 9.0]],  # agrees by 45 degrees in the one row they share
        [[0.0, 5.0], [-1.0, 0.0], [0.0, 0.0]],  # against it
        [[0.0, 0.0], [0.0, 0.0], [3.0, 0.0]],  # shares no row with it
    ])  # fmt: skip
    np.testing.assert_allclose(made.factors(), [1.0, 0.5**0.5, 0.0, 1.0])


def test_the_running_mean_remembers_and_leaves_absent_tasks_alone():
    made = method("main_first", ema_decay=0.5)
    feed(made, [[[1.0, 0.0]], [[1.0, 0.0]]])
    feed(made, [[[2.0, 0.0]], [[0.0, 2.0]]])
    mean = made.gram.mean()
    # (0.5 · first + second) / 1.5
    np.testing.assert_allclose(mean.products, [[4.5 / 1.5, 0.5 / 1.5], [0.5 / 1.5, 4.5 / 1.5]])
    feed(made, [[[7.0, 0.0]], [[0.0, 0.0]]], present=[True, False])
    after = made.gram.mean()
    assert after.products[0, 0] > mean.products[0, 0]
    assert torch.equal(after.products[1], mean.products[1])
    assert torch.equal(after.products[:, 1], mean.products[:, 1])


CONFLICT = [[[2.0, 0.0]], [[-1.0, 1.0]]]


@pytest.mark.parametrize("name", ["pcgrad", "upgrad"])
def test_surgery_of_two_projects_each_off_the_other(name):
    pytest.importorskip("torchjd")
    made = method(name, ema_decay=0.0)
    feed(made, CONFLICT)
    made.learn(seen(1.0, 1.0))
    # Products 4, 2 and -2: each takes -(-2) / |other|² of the other.
    np.testing.assert_allclose(made.factors(), [1 + 2 / 4, 1 + 2 / 2], rtol=2e-3)
    feed(made, (1e-5 * np.array(CONFLICT)).tolist())  # as small as they really are
    made.learn(seen(1.0, 1.0))
    np.testing.assert_allclose(made.factors(), [1 + 2 / 4, 1 + 2 / 2], rtol=2e-3)
    feed(made, [[[1.0, 0.0]], [[0.1, 1.0]]])  # in agreement
    made.learn(seen(1.0, 1.0))
    np.testing.assert_allclose(made.factors(), [1.0, 1.0], rtol=1e-6)


def test_cagrad_solves_its_problem():
    pytest.importorskip("torchjd")
    made = method("cagrad", ema_decay=0.0, c=0.4)
    feed(made, CONFLICT)
    made.learn(seen(1.0, 1.0))
    gradients = np.array([g[0] for g in CONFLICT])
    mean = gradients.mean(axis=0)
    radius = 0.4 * np.linalg.norm(mean)
    shares = np.linspace(0, 1, 20_001)
    mixed = np.outer(shares, gradients[0]) + np.outer(1 - shares, gradients[1])
    best = np.argmin(mixed @ mean + radius * np.linalg.norm(mixed, axis=1))
    direction = mean + radius * mixed[best] / np.linalg.norm(mixed[best])
    np.testing.assert_allclose(made.factors() @ gradients, 2 * direction, rtol=1e-2)


def test_surgery_takes_no_random_number_and_repeats_itself():
    pytest.importorskip("torchjd")
    turned = [[[1.0, 0.0]], [[-0.5, 0.9]], [[-0.5, -0.8]]]
    told = []
    for _ in range(2):
        made = method("pcgrad", weights=(1.0, 1.0, 1.0))
        state = torch.get_rng_state()
        for _ in range(3):
            feed(made, turned)
            made.learn(seen(1.0, 1.0, 1.0))
        assert torch.equal(torch.get_rng_state(), state)
        told.append(made.factors())
        torch.rand(5)
    assert torch.equal(*told)


def test_a_missing_library_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(
        InputError, match=r"'upgrad' needs torchjd: pip install \"torchjd\[quadprog"
    ):
        method("upgrad")


# Measured and acted upon in the loop.


def test_the_measured_gram_is_the_whole_steps_however_it_is_cut(work_dir, backbone):
    told = []
    for tokens, samples in ((100_000, 1), (90, 1), (90, 3)):
        made = experiment_of(
            backbone,
            model={"multisample_dropout": samples},
            train={"max_tokens_per_batch": tokens},
            task_weighting={"method": "main_first"},
        )
        loop = make_loop(made)
        assert (len(loop.micro_batches(np.arange(40))) > 5) == (tokens == 90)
        bare, rows = loop.model, np.arange(40)
        features = bare.features(**loop.rows.batch(rows, False)).detach().requires_grad_()
        heads = {name: bare._head(name, features) for name in bare.heads}
        scales = loop.objective.scales(rows)
        found = []
        for name in heads:
            alone = {k: v if k == name else 0.0 * v for k, v in scales.items()}
            loss, _ = loop.objective.loss(heads, rows, alone)
            found.append(torch.autograd.grad(loss, features, retain_graph=True)[0].double())
        loop.train_step(rows)
        flat = torch.stack([g.flatten() for g in found])
        torch.testing.assert_close(
            loop.task_weighting.running.mean().products, flat @ flat.T, rtol=1e-4, atol=1e-10
        )
        told.append(loop.task_weighting.point())
        shared = (found[0].square().sum(1) > 0) & (found[1].square().sum(1) > 0)
        a, b = (g[shared].flatten() for g in found)
        assert told[-1]["cosine/aux"] == pytest.approx(float(a @ b / a.norm() / b.norm()), rel=1e-4)
        assert told[-1]["gradient_norm/aux"] == pytest.approx(float(found[1].norm()), rel=1e-4)
    assert told[0] == pytest.approx(told[1], rel=1e-4)
    assert told[0] == pytest.approx(told[2], rel=1e-4)


def test_main_first_scales_the_backbones_gradient_and_leaves_the_heads(work_dir, backbone):
    rows = np.arange(30)
    plain = gradients_of(make_loop(experiment_of(backbone)), rows)
    alone = make_loop(experiment_of(backbone))
    scales = alone.objective.scales
    alone.objective.scales = lambda r: {k: v * (k == "main") for k, v in scales(r).items()}
    main = gradients_of(alone, rows)
    for cosine in (-1.0, 0.25):
        loop = make_loop(
            experiment_of(backbone, task_weighting={"method": "main_first", "ema_decay": 0.5})
        )
        feed(loop.task_weighting.method, [[[1.0, 0.0]], [[cosine, (1 - cosine**2) ** 0.5]]])
        found, factor = gradients_of(loop, rows), max(0.0, cosine)
        for name, gradient in found.items():
            expected = plain[name]
            if not name.startswith("heads."):
                expected = main[name] + factor * (plain[name] - main[name])
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
        query = "backbone.encoder.layer.0.attention.self.query.weight"
        assert not torch.allclose(found[query], plain[query], rtol=0.01)


def test_weights_on_the_loss_move_heads_and_backbone_alike(work_dir, backbone):
    rows = np.arange(30)
    plain = gradients_of(make_loop(experiment_of(backbone)), rows)
    loop = make_loop(experiment_of(backbone, task_weighting={"method": "uncertainty"}))
    with torch.no_grad():
        loop.task_weighting.method.log_variances.copy_(torch.tensor([1.0, 1.0]))
    found = gradients_of(loop, rows)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, plain[name] / np.e, rtol=1e-4, atol=1e-7)
    told = loop.task_weighting.point()
    assert told["weight/aux"] == pytest.approx(0.5 / np.e), "task.weight included"
    fixed = make_loop(experiment_of(backbone))
    fixed.train_step(rows)
    norm = fixed.task_weighting.point()["gradient_norm/aux"]
    assert told["gradient_norm/aux"] == pytest.approx(norm, rel=1e-4), "before the method's factor"


@pytest.mark.parametrize("name", list(METHODS))
def test_the_cut_into_micro_batches_changes_nothing(work_dir, backbone, name):
    if METHODS[name].__name__ == "Surgery":
        pytest.importorskip("torchjd")
    ends, factors = [], []
    for tokens in (100_000, 90):
        loop = make_loop(
            experiment_of(
                backbone,
                train={"max_tokens_per_batch": tokens, "learning_rate": 1e-3, "warmup_ratio": 0.0},
                task_weighting={"method": name},
            )
        )
        for start in (0, 20, 40):
            loop.train_step(np.arange(start, start + 20))
        loop.task_weighting.epoch_done()
        ends.append({k: v.clone() for k, v in loop.model.state_dict().items()})
        factors.append(loop.task_weighting.method.factors())
        assert all(v.isfinite().all() for v in ends[-1].values())
    torch.testing.assert_close(*factors, rtol=1e-4, atol=1e-6)
    if name == "famo":
        assert loop.task_weighting.method.logits.abs().min() > 0.01, "the second look was taken"
    if name not in ("fixed", "dwa", "main_first", "pcgrad", "upgrad"):
        assert not torch.allclose(factors[0], torch.ones(2, dtype=torch.float64)), "it adapts"
    for key, values in ends[0].items():
        torch.testing.assert_close(values, ends[1][key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", list(METHODS))
def test_a_task_without_labels_in_a_step_contributes_nothing(work_dir, backbone, name):
    frame = make_frame()
    frame.loc[:19, ["insult", "threat"]] = NAN
    frame.to_csv("train.csv", index=False)
    loop = make_loop(experiment_of(backbone, task_weighting={"method": name, "log_every": 1}))
    loop.train_step(np.arange(20, 60))
    state = loop.task_weighting.running.mean().products.clone()
    loop.task_weighting.point()
    found = gradients_of(loop, np.arange(20))
    assert all((g == 0).all() for n, g in found.items() if n.startswith("heads.aux"))
    assert all(g.isfinite().all() for g in found.values())
    assert torch.equal(loop.task_weighting.running.mean().products[1], state[1])
    told = loop.task_weighting.point()
    assert "gradient_norm/main" in told and "gradient_norm/aux" not in told
    assert "cosine/aux" not in told and all(np.isfinite(v) for v in told.values())
    assert loop.task_weighting.method.factors().isfinite().all()
    loop.train_step(np.arange(20, 60))
    assert all(p.isfinite().all() for p in loop.model.parameters())


def test_fp16s_loss_scale_and_overflow_are_kept_out():
    experiment = make_experiment("t", "b", task_weighting={"method": "main_first"})
    gradients = torch.tensor([[[3.0, 4.0]], [[1.0, 0.0]]])
    told = []
    for scale in (1.0, 1024.0, float("inf")):
        scaler = SimpleNamespace(get_scale=lambda scale=scale: min(scale, 1024.0))
        accelerator = SimpleNamespace(scaler=scaler, num_processes=1, device="cpu")
        task_weighting = TaskWeighting(experiment, accelerator)
        task_weighting.begin({"main": np.ones(1), "aux": np.ones(1)})
        model = SimpleNamespace(tap=None)
        with task_weighting.watching(model):
            features = torch.zeros(1, 2, requires_grad=True)
            seen_by = [model.tap(name, features) for name in ("main", "aux")]
            torch.autograd.backward(seen_by, list(gradients * scale))
        assert model.tap is None
        task_weighting.end({"main": torch.tensor(1.0), "aux": torch.tensor(1.0)})
        told.append(task_weighting.point())
    assert told[0]["gradient_norm/main"] == 5.0 and told[0]["cosine/aux"] == pytest.approx(0.6)
    assert told[1] == pytest.approx(told[0])
    assert "cosine/aux" not in told[2] and not task_weighting.running.seen.any()


def test_what_uncertainty_learns_is_in_one_group_without_decay_and_moves(work_dir, backbone):
    loop = make_loop(
        experiment_of(
            backbone,
            train={"head_learning_rate": 0.5, "weight_decay": 0.1, "warmup_ratio": 0.0},
            task_weighting={"method": "uncertainty"},
        )
    )
    (s,) = loop.task_weighting.method.parameters()
    groups = [g for g in loop.optimizer.param_groups if any(p is s for p in g["params"])]
    assert len(groups) == 1 and len(groups[0]["params"]) == 1
    assert groups[0]["weight_decay"] == 0.0 and groups[0]["lr"] == 0.5
    loop.train_step(np.arange(20))
    # Adam's first step is the rate: up where exp(-s)·loss > 1/2, which both losses of 0.69 are.
    np.testing.assert_allclose(s.detach(), [0.5, 0.5], rtol=1e-4)


# Whole folds.


def weights_of(folder) -> dict[str, torch.Tensor]:
    return load_file(folder.path / "model.safetensors")


def history_of(folder) -> list[dict]:
    records = [json.loads(line) for line in folder.history.read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.mark.parametrize("samples", [1, 3])
def test_measuring_under_fixed_changes_no_bit(work_dir, backbone, monkeypatch, samples):
    made = []
    for name, every, active in (("often", 1, True), ("rarely", 1000, True), ("never", 1, False)):
        experiment = make_experiment(
            "train.csv", backbone, name=name, task_weighting={"log_every": every},
            model={"backbone": backbone, "max_length": 24, "multisample_dropout": samples},
        )  # fmt: skip
        if not active:
            monkeypatch.setattr(TaskWeighting, "watching", lambda *_: nullcontext())
        create_folds(experiment)
        made.append(train_fold(experiment, 0))
    for other in made[1:]:
        for key, values in weights_of(made[0]).items():
            assert torch.equal(values, weights_of(other)[key]), key
    often, rarely, never = (history_of(folder)[-1] for folder in made)
    assert often["balance"]["weight"] == {"main": 1.0, "aux": 0.5}
    assert set(often["balance"]["gradient_norm"]) == {"main", "aux"}
    assert -1 <= often["balance"]["cosine"]["aux"] <= 1
    assert "cosine" in rarely["balance"], "every record tells something"
    assert "cosine" not in never["balance"]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "fixed"])
def test_in_bf16_resuming_ends_in_the_same_weights(work_dir, backbone, monkeypatch, name):
    experiment = make_experiment(
        "train.csv", backbone, task_weighting={"method": name},
        train={"epochs": 3, "precision": "bf16", "max_tokens_per_batch": 60},
    )  # fmt: skip
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, records = weights_of(folder), history_of(folder)
    assert all(values.isfinite().all() for values in whole.values())
    assert not any("log_variance" in key for key in whole)
    if name == "dwa":  # an epoch's end is told to the method
        weights = [record["balance"]["weight"]["main"] for record in records]
        assert weights[:2] == [1.0, 1.0] and weights[2] != 1.0
    counted, steps = Loop.count, []

    class Interrupted(Exception):
        pass

    def interrupt(self, losses, norm, rows):
        counted(self, losses, norm, rows)
        steps.append(rows)
        if len(steps) == 10:  # in the third epoch
            self.save()
            raise Interrupted

    monkeypatch.setattr(Loop, "count", interrupt)
    with pytest.raises(Interrupted):
        train_fold(experiment, 0, overwrite=True)
    monkeypatch.setattr(Loop, "count", counted)
    resumed = train_fold(experiment, 0, resume=True)
    assert history_of(resumed) == records
    for key, values in whole.items():
        assert torch.equal(weights_of(resumed)[key], values), key


def test_the_log_says_that_uncertaintys_loss_may_be_negative(work_dir, backbone, capsys):
    experiment = make_experiment("train.csv", backbone, task_weighting={"method": "uncertainty"})
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    assert capsys.readouterr().out.count("may be negative") == 1
    assert "objective" in history_of(folder)[-1]["balance"]


def test_one_task_alone_measures_nothing(work_dir, backbone):
    tasks = [{"name": "main", "kind": "binary", "columns": ["toxic"]}]
    for name in ("fixed", "uncertainty"):
        experiment = make_experiment(
            "train.csv", backbone, name=name, tasks=tasks, task_weighting={"method": name}
        )
        create_folds(experiment)
        folder = train_fold(experiment, 0)
        assert "balance" not in history_of(folder)[-1]


def test_two_processes_weigh_as_one(work_dir, backbone):
    experiment = experiment_of(
        backbone,
        train={"epochs": 2, "batch_size": 29, "max_tokens_per_batch": 100},
        task_weighting={"method": "gradnorm"},
    )
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, record = weights_of(folder), history_of(folder)[-1]["balance"]
    train_in_two_processes(experiment)
    both = history_of(folder)[-1]["balance"]
    for what, values in record.items():
        assert both[what] == pytest.approx(values, rel=1e-2), what
    for key, values in weights_of(folder).items():
        torch.testing.assert_close(values, whole[key], rtol=1e-3, atol=1e-5)


def test_the_section_is_checked_and_written_back(tmp_path):
    made = make_experiment("t", "b", task_weighting={"method": "dwa", "temperature": 1.0})
    (tmp_path / "e.toml").write_text(to_toml(made))
    assert load_experiment(tmp_path / "e.toml") == made
    with pytest.raises(InputError, match="alpha is not read by method = 'dwa', but by gradnorm"):
        make_experiment("t", "b", task_weighting={"method": "dwa", "alpha": 1.0})
    with pytest.raises(InputError, match="task_weighting.method = 'dvw'"):
        make_experiment("t", "b", task_weighting={"method": "dvw"})
    plain = make_experiment("t", "b")
    assert (
        plain.fingerprint()
        == make_experiment("t", "b", task_weighting={"log_every": 5}).fingerprint()
    )
    assert plain.fingerprint() != made.fingerprint()
