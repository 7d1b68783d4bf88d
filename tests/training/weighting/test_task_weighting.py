"""Task weights around a step: where they act, what is measured, and that nothing else changes."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.training.build import build_fold
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.loop import StepTrainer
from auxfold.training.objective import StepLoss
from auxfold.training.split import create_folds
from auxfold.training.weighting.gram import Gram
from auxfold.training.weighting.methods import METHODS
from auxfold.training.weighting.task_weighting import TaskWeighting
from conftest import make_experiment, make_frame, train_in_two_processes

STILL = {"head_dropout": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}
NAN = float("nan")


def make_still_experiment(backbone: str, **changes) -> Experiment:
    """Without dropout."""
    model = {"backbone": backbone, "max_length": 24, **STILL, **changes.pop("model", {})}
    return make_experiment("train.csv", backbone, model=model, **changes)


def make_stepper(experiment: Experiment) -> StepTrainer:
    """A trainer over all rows of the table, its model the same in every call."""
    AcceleratorState._reset_state()
    table, tasks = read_training_table(experiment), TaskSet.from_experiment(experiment)
    indices, accelerator = np.arange(len(table)), Accelerator(cpu=True)
    stepper = build_fold(experiment, tasks, table, indices, accelerator, seed=0).stepper
    stepper.model.train()
    return stepper


def step_gradients(stepper: StepTrainer, indices: np.ndarray) -> dict[str, torch.Tensor]:
    """The gradients of one step, as they are after its last backward pass."""
    gradients: dict[str, torch.Tensor] = {}
    learn = stepper.weighting.learn

    def watch(losses, is_finite):
        gradients.update(
            {
                n: torch.zeros_like(p) if p.grad is None else p.grad.clone()  # an absent head
                for n, p in stepper.model.named_parameters()
            }
        )
        learn(losses, is_finite)

    stepper.weighting.learn = watch
    stepper.train_step(indices)
    stepper.weighting.learn = learn
    return gradients


def show_gradients(stepper: StepTrainer, gradients: list) -> None:
    """Add gradients at the features ``(tasks, rows, hidden)`` to the running mean."""
    gram = Gram.from_gradients(torch.tensor(gradients, dtype=torch.float64))
    stepper.weighting.running.add(gram, torch.ones(len(gradients), dtype=torch.bool))


# Measured and applied in a step.


def test_the_measured_gram_is_the_whole_steps_however_it_is_cut(work_dir, backbone):
    logs = []
    for tokens, samples in ((100_000, 1), (90, 1), (90, 3)):
        experiment = make_still_experiment(
            backbone,
            model={"multisample_dropout": samples},
            train={"max_tokens_per_batch": tokens},
            task_weighting={"method": "main_first"},
        )
        stepper = make_stepper(experiment)
        model, indices = stepper.unwrapped_model, np.arange(40)
        assert (len(stepper.splitter.split(indices)) > 5) == (tokens == 90)
        features = model.features(**stepper.batch(indices)).detach().requires_grad_()
        heads = {name: model.heads[name](features) for name in model.heads}
        losses = stepper.objective.for_step(indices)(heads, indices)
        gradients = [
            torch.autograd.grad(loss, features, retain_graph=True)[0].double()
            for loss in losses.values()
        ]
        stepper.train_step(indices)
        flat = torch.stack([g.flatten() for g in gradients])
        torch.testing.assert_close(
            stepper.weighting.running.mean().products, flat @ flat.T, rtol=1e-4, atol=1e-10
        )
        log = stepper.weighting.pop_log()
        shared = (gradients[0].square().sum(1) > 0) & (gradients[1].square().sum(1) > 0)
        a, b = (g[shared].flatten() for g in gradients)
        assert log["cosine/aux"] == pytest.approx(float(a @ b / a.norm() / b.norm()), rel=1e-4)
        assert log["gradient_norm/aux"] == pytest.approx(float(gradients[1].norm()), rel=1e-4)
        logs.append(log)
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)
    assert logs[0] == pytest.approx(logs[2], rel=1e-4)


def test_main_first_scales_the_backbones_gradient_and_leaves_the_heads(
    work_dir, backbone, monkeypatch
):
    rows = np.arange(30)
    plain = step_gradients(make_stepper(make_still_experiment(backbone)), rows)
    original = StepLoss.__call__

    def only_main(self, *args):
        return {name: loss * (name == "main") for name, loss in original(self, *args).items()}

    with monkeypatch.context() as patch:
        patch.setattr(StepLoss, "__call__", only_main)
        main = step_gradients(make_stepper(make_still_experiment(backbone)), rows)
    for cosine in (-1.0, 0.25):
        stepper = make_stepper(
            make_still_experiment(
                backbone, task_weighting={"method": "main_first", "ema_decay": 0.5}
            )
        )
        show_gradients(stepper, [[[1.0, 0.0]], [[cosine, (1 - cosine**2) ** 0.5]]])
        gradients, factor = step_gradients(stepper, rows), max(0.0, cosine)
        for name, gradient in gradients.items():
            expected = plain[name]
            if not name.startswith("heads."):
                expected = main[name] + factor * (plain[name] - main[name])
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
        query = "backbone.encoder.layer.0.attention.self.query.weight"
        assert not torch.allclose(gradients[query], plain[query], rtol=0.01)


def test_weights_on_the_loss_move_heads_and_backbone_alike(work_dir, backbone):
    rows = np.arange(30)
    plain = step_gradients(make_stepper(make_still_experiment(backbone)), rows)
    stepper = make_stepper(
        make_still_experiment(backbone, task_weighting={"method": "uncertainty"})
    )
    with torch.no_grad():
        stepper.weighting.method.log_variances.copy_(torch.tensor([1.0, 1.0]))
    gradients = step_gradients(stepper, rows)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, plain[name] / np.e, rtol=1e-4, atol=1e-7)
    log = stepper.weighting.pop_log()
    assert log["weight/aux"] == pytest.approx(0.5 / np.e), "task.weight included"
    fixed = make_stepper(make_still_experiment(backbone))
    fixed.train_step(rows)
    norm = fixed.weighting.pop_log()["gradient_norm/aux"]
    assert log["gradient_norm/aux"] == pytest.approx(norm, rel=1e-4), "before the method's factor"


@pytest.mark.parametrize("name", list(METHODS))
def test_the_cut_into_micro_batches_changes_nothing(work_dir, backbone, name):
    if METHODS[name].__name__ == "Surgery":
        pytest.importorskip("torchjd")
    ends, factors = [], []
    for tokens in (100_000, 90):
        stepper = make_stepper(
            make_still_experiment(
                backbone,
                train={"max_tokens_per_batch": tokens, "learning_rate": 1e-3, "warmup_ratio": 0.0},
                task_weighting={"method": name},
            )
        )
        for start in (0, 20, 40):
            stepper.train_step(np.arange(start, start + 20))
        stepper.weighting.finish_epoch()
        ends.append({k: v.clone() for k, v in stepper.model.state_dict().items()})
        factors.append(stepper.weighting.method.factors())
        assert all(v.isfinite().all() for v in ends[-1].values())
    torch.testing.assert_close(*factors, rtol=1e-4, atol=1e-6)
    if name == "famo":
        assert stepper.weighting.method.logits.abs().min() > 0.01, (
            "the losses after the step were computed"
        )
    if name not in ("fixed", "dwa", "main_first", "pcgrad", "upgrad"):
        assert not torch.allclose(factors[0], torch.ones(2, dtype=torch.float64)), "it adapts"
    for key, values in ends[0].items():
        torch.testing.assert_close(values, ends[1][key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", list(METHODS))
def test_a_task_without_labels_in_a_step_contributes_nothing(work_dir, backbone, name):
    frame = make_frame()
    frame.loc[:19, ["insult", "threat"]] = NAN
    frame.to_csv("train.csv", index=False)
    stepper = make_stepper(
        make_still_experiment(backbone, task_weighting={"method": name, "log_every": 1})
    )
    stepper.train_step(np.arange(20, 60))
    stepper.weighting.pop_log()
    state = stepper.weighting.running.mean().products.clone()
    gradients = step_gradients(stepper, np.arange(20))
    assert all((g == 0).all() for n, g in gradients.items() if n.startswith("heads.aux"))
    assert all(g.isfinite().all() for g in gradients.values())
    log = stepper.weighting.pop_log()
    assert torch.equal(stepper.weighting.running.mean().products[1], state[1])
    assert "gradient_norm/main" in log and "gradient_norm/aux" not in log
    assert "cosine/aux" not in log and all(np.isfinite(v) for v in log.values())
    assert stepper.weighting.method.factors().isfinite().all()
    stepper.train_step(np.arange(20, 60))
    assert all(p.isfinite().all() for p in stepper.model.parameters())


def test_fp16s_loss_scale_and_overflow_are_excluded():
    experiment = make_experiment("t", "b", task_weighting={"method": "main_first"})
    gradients = torch.tensor([[[3.0, 4.0]], [[1.0, 0.0]]])
    logs = []
    for scale in (1.0, 1024.0, float("inf")):
        scaler = SimpleNamespace(get_scale=lambda scale=scale: min(scale, 1024.0))
        accelerator = SimpleNamespace(scaler=scaler, num_processes=1, device="cpu")
        weighting = TaskWeighting(experiment, accelerator)
        weighting.start_step([True, True])
        model = SimpleNamespace(feature_hook=None)
        with weighting.capture_gradients(model):
            features = torch.zeros(1, 2, requires_grad=True)
            inputs = [model.feature_hook(name, features) for name in ("main", "aux")]
            torch.autograd.backward(inputs, list(gradients * scale))
        assert model.feature_hook is None
        losses = {"main": torch.tensor(1.0), "aux": torch.tensor(1.0)}
        weighting.learn(losses, torch.tensor(scale < float("inf")))
        weighting.end_step()
        logs.append(weighting.pop_log())
    assert logs[0]["gradient_norm/main"] == 5.0 and logs[0]["cosine/aux"] == pytest.approx(0.6)
    assert logs[1] == pytest.approx(logs[0])
    assert "cosine/aux" not in logs[2] and not weighting.running.counts.any()


def test_what_uncertainty_learns_is_in_one_group_without_decay_and_moves(work_dir, backbone):
    stepper = make_stepper(
        make_still_experiment(
            backbone,
            train={"head_learning_rate": 0.5, "weight_decay": 0.1, "warmup_ratio": 0.0},
            task_weighting={"method": "uncertainty"},
        )
    )
    (s,) = stepper.weighting.method.parameters()
    groups = [g for g in stepper.optimizer.param_groups if any(p is s for p in g["params"])]
    assert len(groups) == 1 and len(groups[0]["params"]) == 1
    assert groups[0]["weight_decay"] == 0.0 and groups[0]["lr"] == 0.5
    stepper.train_step(np.arange(20))
    # Adam's first step is the rate: up where exp(-s)·loss > 1/2, which both losses of 0.69 are.
    np.testing.assert_allclose(s.detach(), [0.5, 0.5], rtol=1e-4)


# Whole folds.


def load_weights(folder) -> dict[str, torch.Tensor]:
    return load_file(folder.path / "model.safetensors")


def load_history(folder) -> list[dict]:
    records = [json.loads(line) for line in folder.history.read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.mark.parametrize("samples", [1, 3])
def test_measuring_under_fixed_changes_no_bit(work_dir, backbone, monkeypatch, samples):
    folders = []
    for name, every, active in (("often", 1, True), ("rarely", 1000, True), ("never", 1, False)):
        experiment = make_experiment(
            "train.csv", backbone, name=name, task_weighting={"log_every": every},
            model={"backbone": backbone, "max_length": 24, "multisample_dropout": samples},
        )  # fmt: skip
        if not active:
            monkeypatch.setattr(TaskWeighting, "capture_gradients", lambda *_: nullcontext())
        create_folds(experiment)
        folders.append(train_fold(experiment, 0))
    for other in folders[1:]:
        for key, values in load_weights(folders[0]).items():
            assert torch.equal(values, load_weights(other)[key]), key
    often, rarely, never = (load_history(folder)[-1] for folder in folders)
    assert often["task_weighting"]["weight"] == {"main": 1.0, "aux": 0.5}
    assert set(often["task_weighting"]["gradient_norm"]) == {"main", "aux"}
    assert -1 <= often["task_weighting"]["cosine"]["aux"] <= 1
    assert "cosine" in rarely["task_weighting"], "every record tells something"
    assert "cosine" not in never["task_weighting"]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "fixed"])
def test_in_bf16_resuming_ends_in_the_same_weights(work_dir, backbone, monkeypatch, name):
    experiment = make_experiment(
        "train.csv", backbone, task_weighting={"method": name},
        train={"epochs": 3, "precision": "bf16", "max_tokens_per_batch": 60},
    )  # fmt: skip
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, records = load_weights(folder), load_history(folder)
    assert all(values.isfinite().all() for values in whole.values())
    assert not any("log_variance" in key for key in whole)
    if name == "dwa":  # the method learns of an epoch's end
        weights = [record["task_weighting"]["weight"]["main"] for record in records]
        assert weights[:2] == [1.0, 1.0] and weights[2] != 1.0
    take_step, steps = FoldTrainer.take_step, []

    class Interrupted(Exception):
        pass

    def interrupt(self, indices):
        take_step(self, indices)
        steps.append(indices)
        if len(steps) == 10:  # in the third epoch
            self.save()
            raise Interrupted

    monkeypatch.setattr(FoldTrainer, "take_step", interrupt)
    with pytest.raises(Interrupted):
        train_fold(experiment, 0, overwrite=True)
    monkeypatch.setattr(FoldTrainer, "take_step", take_step)
    resumed = train_fold(experiment, 0, resume=True)
    assert load_history(resumed) == records
    for key, values in whole.items():
        assert torch.equal(load_weights(resumed)[key], values), key


def test_the_log_says_that_uncertaintys_loss_may_be_negative(work_dir, backbone, capsys):
    experiment = make_experiment("train.csv", backbone, task_weighting={"method": "uncertainty"})
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    assert capsys.readouterr().out.count("may be negative") == 1
    assert "objective" in load_history(folder)[-1]["task_weighting"]


def test_one_task_alone_measures_nothing(work_dir, backbone):
    tasks = [{"name": "main", "kind": "binary", "columns": ["toxic"]}]
    for name in ("fixed", "uncertainty"):
        experiment = make_experiment(
            "train.csv", backbone, name=name, tasks=tasks, task_weighting={"method": name}
        )
        create_folds(experiment)
        folder = train_fold(experiment, 0)
        assert "task_weighting" not in load_history(folder)[-1]


def test_two_processes_weigh_as_one(work_dir, backbone):
    experiment = make_still_experiment(
        backbone,
        train={"epochs": 2, "batch_size": 29, "max_tokens_per_batch": 100},
        task_weighting={"method": "gradnorm"},
    )
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, record = load_weights(folder), load_history(folder)[-1]["task_weighting"]
    train_in_two_processes(experiment)
    both = load_history(folder)[-1]["task_weighting"]
    for what, values in record.items():
        assert both[what] == pytest.approx(values, rel=1e-2), what
    for key, values in load_weights(folder).items():
        torch.testing.assert_close(values, whole[key], rtol=1e-3, atol=1e-5)


def test_the_section_is_checked_and_written_back(tmp_path):
    experiment = make_experiment("t", "b", task_weighting={"method": "dwa", "temperature": 1.0})
    (tmp_path / "e.toml").write_text(to_toml(experiment))
    assert load_experiment(tmp_path / "e.toml") == experiment
    with pytest.raises(InputError, match="alpha is not read by method = 'dwa', but by gradnorm"):
        make_experiment("t", "b", task_weighting={"method": "dwa", "alpha": 1.0})
    with pytest.raises(InputError, match="task_weighting.method = 'dvw'"):
        make_experiment("t", "b", task_weighting={"method": "dvw"})
    plain = make_experiment("t", "b")
    assert (
        plain.fingerprint()
        == make_experiment("t", "b", task_weighting={"log_every": 5}).fingerprint()
    )
    assert plain.fingerprint() != experiment.fingerprint()
