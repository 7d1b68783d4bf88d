"""Runs joined by id, weights found on the other folds, and what cannot be blended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.blending.bootstrap import gain_intervals
from auxfold.blending.fitting import (
    METHODS,
    Options,
    best_single,
    check_methods,
    choose,
    correlations,
    fit_all,
    singles,
    usable,
)
from auxfold.blending.members import Member, gather
from auxfold.config.experiment import Experiment, to_toml
from auxfold.errors import InputError
from auxfold.fairness.jigsaw_bias import jigsaw_bias
from auxfold.storage.atomic import write_frame, write_json, write_text
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import make_tasks, prediction_frame
from auxfold.tasks.metrics import roc_auc
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame, refused_script, run_script

KINDS = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": ["bad", "fine", "good"]},
    {"name": "score", "kind": "regression", "columns": ["score"]},
]


def blend(*arguments: str) -> None:
    run_script("blend", *arguments)


def refused(capsys, *arguments: str) -> str:
    return refused_script(capsys, "blend", *arguments)


def fake_run(experiment: Experiment, noise: float, seed: int, shuffle: bool = False) -> np.ndarray:
    """A finished run whose out-of-fold predictions are the labels and noise; gives the folds."""
    table, folds = create_folds(experiment)
    random, tasks, predictions, at = np.random.default_rng(seed), make_tasks(experiment), {}, 0
    for task in tasks:
        labels = np.nan_to_num(table.labels[:, at : at + len(task.settings.columns)], nan=0.3)
        at += len(task.settings.columns)
        if task.settings.kind == "multiclass":
            labels = np.eye(task.n_outputs)[labels[:, 0].astype(int)]
        logits = 3 * (labels - 0.5) + noise * random.normal(size=labels.shape)
        predictions[task.name] = task.activate(logits)
    order = random.permutation(len(table)) if shuffle else np.arange(len(table))
    frame = prediction_frame("id", table.ids, tasks, predictions)
    for fold in range(experiment.folds.n_splits):
        folder = RunFolder.of(experiment).fold(fold)
        rows = order[folds[order] == fold]
        write_text(folder.experiment, to_toml(experiment))
        write_frame(folder.oof, frame.iloc[rows])
        write_json(folder.run, {"experiment_fingerprint": experiment.fingerprint(),
                                "data_fingerprint": table.fingerprint()})  # fmt: skip
    return folds


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frame = make_frame(150)
    random = np.random.default_rng(7)
    frame["mood"] = random.choice(["bad", "fine", "good"], size=150)
    frame["score"] = random.normal(size=150)
    frame.to_csv("train.csv", index=False)
    return tmp_path


def three(**changes) -> list[Member]:
    """Runs a, b, c: of growing noise, rows in other orders, c in other folds."""
    for name, noise, own in (("a", 2.5, {}), ("b", 3.0, {"model": {"backbone": "x"}}),
                             ("c", 4.0, {"seed": 9, "folds": {"n_splits": 3}})):  # fmt: skip
        own = {"folds": {"n_splits": 4}, **own, **changes}
        experiment = make_experiment("train.csv", "b", name=name, **own)
        fake_run(experiment, noise, ord(name), shuffle=name != "a")
    return [Member.at(name) for name in "abc"]


def gathered(members: list[Member], metric: str | None = None):
    table, folds = create_folds(members[0].experiment)
    return gather(members, table, folds, metric)


NO_DRAWS = Options(draws=0)


def fitted(candidates, methods=METHODS, options=NO_DRAWS):
    names = [f"m{n}" for n in range(len(next(iter(candidates.predictions.values()))))]
    best = best_single(candidates, singles(candidates, names))
    return {one.method: one for one in fit_all(candidates, list(methods), best, options)}


def test_runs_are_joined_by_id_whatever_their_order_and_folds(place):
    candidates = gathered(three())
    frame = pd.read_csv("train.csv").set_index("id")
    for number, name in enumerate("abc"):
        pieces = [pd.read_parquet(p) for p in Path(f"outputs/{name}").glob("fold_*/oof.parquet")]
        oof = pd.concat(pieces).set_index("id").loc[frame.index, "toxic"]
        np.testing.assert_array_equal(candidates.predictions["main"][number, :, 0], oof)
        told = singles(candidates, list("abc"))[name]
        assert told["oof"] == roc_auc(frame["toxic"].to_numpy(), oof.to_numpy())
    assert len(np.unique(candidates.folds)) == 4, "the first run's"


def test_equal_weights_by_hand_and_nothing_nested_about_them(place):
    candidates = gathered(three())
    p = candidates.predictions["main"][:, :, 0]
    made = fitted(candidates, ["mean", "logit", "rank", "power"], Options(power=2.0, draws=0))
    logit = np.log(p / (1 - p)).mean(axis=0)
    rank = pd.DataFrame(p.T).rank().mean(axis=1) / 150
    expected = {"mean": p.mean(axis=0), "logit": 1 / (1 + np.exp(-logit)), "rank": rank,
                "power": np.sqrt((p**2).mean(axis=0))}  # fmt: skip
    labels = candidates.labels["main"][:, 0]
    for method, values in expected.items():
        np.testing.assert_allclose(made[method].nested["main"][:, 0], values, atol=1e-9)
        assert made[method].record["nested"] == made[method].record["in_sample"]
        assert made[method].record["nested"] == pytest.approx(roc_auc(labels, np.array(values)))
        np.testing.assert_allclose(made[method].weights["toxic"], 1 / 3)


@pytest.mark.parametrize("method", ["hill_climbing", "nelder_mead"])
def test_no_row_takes_part_in_finding_its_own_weights(place, method):
    """Other labels in fold 1: its rows' blended predictions stay, the other rows' do not."""
    candidates = gathered(three(), "main/log_loss")
    before = fitted(candidates, [method])[method].nested["main"].copy()
    own = candidates.folds == 1
    candidates.labels["main"][own] = 1 - candidates.labels["main"][own]
    after = fitted(candidates, [method])[method].nested["main"]
    np.testing.assert_array_equal(before[own], after[own])
    assert np.abs(before[~own] - after[~own]).max() > 1e-6


def test_the_nested_gain_of_models_that_know_nothing_is_none(place):
    for n in range(8):
        experiment = make_experiment("train.csv", "b", name=f"n{n}", folds={"n_splits": 5})
        fake_run(experiment, 1e6, n)
    made = fitted(gathered([Member.at(f"n{n}") for n in range(8)]))["hill_climbing"].record
    assert made["in_sample"] > made["nested"] + 0.05, "fitted on all rows it looks like a gain"
    assert made["gain"] < 0.0


def test_a_metric_of_which_less_is_better_and_the_choice(place):
    candidates = gathered(three(), "main/log_loss")
    made = fitted(candidates, usable(METHODS, candidates, NO_DRAWS))
    assert "rank" not in made and len(made) == len(METHODS) - 1
    told = singles(candidates, list("abc"))
    best = min(one["oof"] for one in told.values())
    with pytest.raises(InputError, match="mean ranks are none"):
        check_methods(["nelder_mead"], candidates, Options(average="rank"))
    for one in made.values():
        assert one.record["gain"] == pytest.approx(best - one.record["nested"])
    for method in ("hill_climbing", "nelder_mead"):
        assert made[method].record["in_sample"] <= best
    chosen = choose(list(made.values()), "main/log_loss")
    assert chosen.record["nested"] == min(one.record["nested"] for one in made.values())


def test_one_weight_for_all_columns_or_one_for_each(place):
    members = three()
    candidates = gathered(members, "auc")
    assert [task.name for task in candidates.tasks] == ["main", "aux"]
    told = singles(candidates, list("abc"))["a"]
    each = [gathered(members, m) for m in ("main/auc", "aux/auc/insult", "aux/auc/threat")]
    single = [singles(one, list("abc"))["a"]["oof"] for one in each]
    assert told["oof"] == pytest.approx(np.mean(single)), "of all three columns"
    together = fitted(candidates, ["hill_climbing"])["hill_climbing"].weights
    assert list(together) == ["toxic", "insult", "threat"]
    assert together["toxic"].tolist() == together["threat"].tolist()
    apart = fitted(candidates, ["hill_climbing"], Options(by_column=True, draws=0))["hill_climbing"]
    for candidates, column in zip(each, ("toxic", "insult", "threat"), strict=True):
        alone = fitted(candidates, ["hill_climbing"])["hill_climbing"]
        np.testing.assert_allclose(apart.weights[column], alone.weights[column])
    assert len({tuple(w) for w in apart.weights.values()}) > 1


@pytest.mark.parametrize(
    ("metric", "methods"),
    [
        ("mood/log_loss", ["mean", "logit", "power", "hill_climbing", "nelder_mead"]),
        ("mood/accuracy", ["mean", "logit", "power", "hill_climbing", "nelder_mead"]),
        ("score/rmse", ["mean", "logit", "hill_climbing", "nelder_mead"]),
    ],
)
def test_other_kinds_of_task(place, metric, methods):
    candidates = gathered(three(tasks=KINDS), metric)
    assert usable(METHODS, candidates, Options()) == methods
    made = fitted(candidates, methods)
    for one in made.values():
        (values,) = one.nested.values()
        assert np.isfinite(values).all()
        if metric.startswith("mood"):
            np.testing.assert_allclose(values.sum(axis=1), 1.0)
    with pytest.raises(InputError, match="average = 'rank' is for binary tasks"):
        check_methods(["rank"], candidates, Options())
    with pytest.raises(InputError, match="average = 'rank' is for binary tasks"):
        usable(METHODS, candidates, Options(average="rank"))


def test_correlations_are_pearsons_mean_over_columns(place):
    candidates = gathered(three(), "aux/auc")
    made = np.array(correlations(candidates))
    p = candidates.predictions["aux"]
    expected = (np.corrcoef(p[:, :, 0]) + np.corrcoef(p[:, :, 1])) / 2
    np.testing.assert_allclose(made, expected)
    candidates.predictions["aux"][1] = 0.5
    assert correlations(candidates)[0][1] is None


def test_the_interval_is_the_paired_bootstraps():
    """The mean of a difference: its interval is known."""
    random = np.random.default_rng(0)
    base, better = random.normal(size=(900, 1)), random.normal(0.2, 1.0, size=(900, 1))

    def score(rows, predictions):
        assert len(rows) == len(predictions["t"]) == 900
        return float(predictions["t"].mean())

    made = [{"t": base + better}, {"t": base + 1.0}]
    (low, high), same = gain_intervals(score, 900, made, {"t": base}, sign=1, draws=800, seed=1)
    half = 1.96 * better.std() / 30
    assert low == pytest.approx(better.mean() - half, abs=0.015)
    assert high == pytest.approx(better.mean() + half, abs=0.015)
    assert same == pytest.approx((1.0, 1.0)), "what both share cancels"
    flipped = gain_intervals(score, 900, made[:1], {"t": base}, sign=-1, draws=800, seed=1)[0]
    assert flipped == pytest.approx((-high, -low))
    assert gain_intervals(score, 900, made, made[0], sign=1, draws=0, seed=1) == [(None, None)] * 2


def test_the_script_tells_stores_and_picks(place, capsys):
    three()
    blend("--runs", "a,outputs/b,c", "--name", "mix", "--draws", "50")
    told = capsys.readouterr().out
    assert "3 runs, 150 rows, main/auc (higher is better); labels and folds of a" in told
    assert "correlation of run" in told and "95 % interval" in told
    record = json.loads(Path("outputs/mix/blend.json").read_text())
    assert list(record["methods"]) == list(METHODS)
    nested = {name: one["nested"] for name, one in record["methods"].items()}
    assert nested[record["method"]] == max(nested.values())
    assert [m["path"] for m in record["members"]] == ["outputs/a", "outputs/b", "outputs/c"]
    low, gain, high = (record["methods"][record["method"]][k] for k in ("low", "gain", "high"))
    assert low <= gain <= high
    oof = pd.read_parquet("outputs/mix/oof.parquet").set_index("id")
    labels = pd.read_csv("train.csv").set_index("id")["toxic"]
    assert list(oof.columns) == ["toxic"] and set(oof.index) == set(labels.index)
    scored = roc_auc(labels.to_numpy(), oof.loc[labels.index, "toxic"].to_numpy())
    assert scored == pytest.approx(nested[record["method"]])
    first = Path("outputs/mix/blend.json").read_bytes()
    blend("--runs", "a,b,c", "--name", "mix", "--draws", "50")
    assert Path("outputs/mix/blend.json").read_bytes() == first, "the same again"


def test_runs_that_do_not_fit_are_refused(place, capsys):
    three()
    other = pd.read_csv("train.csv").iloc[10:]
    other.to_csv("other.csv", index=False)
    fake_run(make_experiment("other.csv", "b", name="fewer"), 1.0, 1)
    told = refused(capsys, "--runs", "a,fewer")
    assert "of 150 ids it lacks 10 and has 0 others" in told
    assert "of 140 ids it lacks 0 and has 10 others" in refused(capsys, "--runs", "fewer,a")
    fake_run(make_experiment("train.csv", "b", name="kinds", tasks=KINDS), 1.0, 1)
    told = refused(capsys, "--runs", "a,kinds", "--metric", "aux/auc")
    assert "run kinds does not predict 'insult'" in told
    number = [{"name": "main", "kind": "regression", "columns": ["toxic"]}]
    fake_run(make_experiment("train.csv", "b", name="number", tasks=number), 1.0, 1)
    told = refused(capsys, "--runs", "a,number")
    assert "'toxic' is a regression task in run number and a binary task in a" in told
    classes = [{**KINDS[1], "classes": ["bad", "good", "fine", "ugly"], "main": True}]
    fake_run(make_experiment("train.csv", "b", name="ugly", tasks=classes), 1.0, 1)
    told = refused(capsys, "--runs", "ugly,kinds")
    assert "of other classes" in told
    assert not Path("outputs/blend").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--runs", "a"], "two runs or more"),
        (["--runs", "a,a"], "two of them have one name"),
        (["--runs", "a,bb"], "no trained run 'bb' (did you mean 'b'?)"),
        (["--runs", "a,b", "--metric", "main/acu"], "(did you mean 'main/auc'?)"),
        (["--runs", "a,b", "--method", "median"], "(did you mean 'mean'?)"),
        (["--runs", "a,b", "--name", "c"], "is a run of its own"),
        (["--runs", "a,b", "--name", "../x"], "becomes outputs/<name>/"),
        (["--runs", "a,b", "--method", "mean", "--negative"], "--negative has no effect"),
        (["--runs", "a,b", "--method", "nelder_mead", "--step", "1"], "--step has no effect"),
        (["--runs", "a,b", "--negative", "--average", "power"], "a power mean has no root"),
        (["--runs", "a,b", "--metric", "aux/auc/threat", "--by", "column"], "not a mean over"),
        (["--runs", "a,b", "--step", "0"], "--step 0.0: at least 0.001"),
        (["--runs", "a,b", "--weights", "1,2"], "--weights has no effect with --runs"),
        (["--predictions", "a,b", "--metric", "x"], "--metric has no effect with --predictions"),
        (["--predictions", "a,b", "--draws", "0"], "--draws has no effect with --predictions"),
    ],
)
def test_what_cannot_be_asked_is_refused(place, capsys, arguments, expected):
    three()
    told = refused(capsys, *arguments)
    assert expected in told
    assert not Path("outputs/blend").exists()


def test_a_blend_is_no_run_and_stale_folds_are_noticed(place, capsys):
    three()
    blend("--runs", "a,b", "--method", "mean", "--draws", "0")
    assert "outputs/blend is a blend" in refused(capsys, "--runs", "blend,c")
    make_frame(150, seed=3).to_csv("train.csv", index=False)
    assert "other data" in refused(capsys, "--runs", "a,b", "--name", "two")


def test_files_are_joined_by_id_and_averaged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = pd.DataFrame({"id": ["007", "b", "c"], "x": [0.2, 0.9, 0.4], "y": [0.1, 0.2, 0.3]})
    second = pd.DataFrame({"id": ["c", "007", "b"], "y": [0.5, 0.5, 0.6], "x": [0.6, 0.4, 0.1]})
    first.to_csv("a.csv", index=False)
    second.to_csv("b.csv", index=False)
    files = ("--predictions", "a.csv,b.csv", "--output", "out.csv")
    blend(*files, "--weights", "3,1")
    made = pd.read_csv("out.csv", dtype={"id": str})
    assert made.columns.tolist() == ["id", "x", "y"] and made["id"].tolist() == ["007", "b", "c"]
    np.testing.assert_allclose(made["x"], [0.25, 0.7, 0.45])
    np.testing.assert_allclose(made["y"], [0.2, 0.3, 0.35])
    blend(*files, "--method", "rank")
    made = pd.read_csv("out.csv", dtype={"id": str})
    np.testing.assert_allclose(made["x"], [(1 + 2) / 6, (3 + 1) / 6, (2 + 3) / 6])
    blend(*files, "--method", "power", "--power", "2")
    np.testing.assert_allclose(pd.read_csv("out.csv")["x"][0], np.sqrt((0.04 + 0.16) / 2))

    def refuse(change, expected, *more):
        change(second.copy()).to_csv("b.csv", index=False)
        Path("out.csv").unlink(missing_ok=True)
        assert expected in refused(capsys, *files, *more) and not Path("out.csv").exists()

    refuse(lambda f: f.iloc[1:], "of 3 it lacks 1 and has 0 others (e.g. 'c')")
    refuse(lambda f: f.assign(id=["c", "c", "b"]), "id 'c' stands there twice")
    refuse(lambda f: f.drop(columns="y"), "has the columns id, x")
    refuse(lambda f: f.assign(x="good"), "column 'x': 'good' is not a number")
    refuse(lambda f: f.assign(x=1.5), "lies outside 0 to 1", "--method", "logit")
    refuse(lambda f: f, "has 3 numbers for 2 files", "--weights", "1,2,3")
    refuse(lambda f: f, "sum is above zero", "--weights=1,-1")
    refuse(lambda f: f, "files are blended by", "--method", "hill_climbing")
    refuse(lambda f: f, "--power has no effect", "--power", "2")


def test_the_bias_metric_of_the_first_runs_identities_is_blended(work_dir, backbone):
    frame = make_frame(80).assign(black=lambda f: (f.index % 3 == 0) * 1.0)
    frame.to_csv("train.csv", index=False)
    runs = []
    for number, noise in enumerate((1.0, 2.0)):
        identities = {"identities": {"columns": ["black"]}} if number == 0 else {}
        experiment = make_experiment("train.csv", backbone, name=f"r{number}", **identities)
        fake_run(experiment, noise, seed=number)
        runs.append(Member.at(f"r{number}"))
    table, folds = create_folds(runs[0].experiment)
    found = gather(runs, table, folds, "jigsaw_bias/score")
    assert [task.name for task in found.tasks] == ["main"]
    half = np.arange(0, 80, 2)
    mean = found.predictions["main"].mean(axis=0)[half]
    bias = jigsaw_bias(table.labels[half, 0], mean[:, 0], table.identities[half], ["black"])
    assert found.score(half, {"main": mean}) == pytest.approx(bias.score)
    assert bias.score is not None
    with pytest.raises(InputError, match="jigsaw_bias/score is unknown"):
        gather(runs[::-1], table, folds, "jigsaw_bias/score")


def test_a_run_with_one_split_is_refused(work_dir, backbone):
    split = {"n_splits": 2, "validation": 20}
    experiment = make_experiment("train.csv", backbone, name="split", folds=split)
    create_folds(experiment)
    folder = RunFolder.of(experiment).fold(0)
    write_text(folder.experiment, to_toml(experiment))
    write_json(folder.run, {"data_fingerprint": "x"})
    with pytest.raises(InputError, match="run split has one split .folds.validation."):
        Member.at("split")


def test_a_column_of_classes_follows_the_blended_probabilities(work_dir):
    columns = ["id", "toxic", "labels_0", "labels_0_0", "labels_0_1", "labels_0_2"]
    one = [["x", 0.2, "0", 0.6, 0.1, 0.3], ["y", 0.4, "1", 0.2, 0.7, 0.1]]
    two = [["y", 0.8, "2", 0.1, 0.2, 0.7], ["x", 0.6, "2", 0.2, 0.1, 0.7]]
    for name, rows in (("one", one), ("two", two)):
        pd.DataFrame(rows, columns=columns).to_csv(f"{name}.csv", index=False)
    run_script("blend", "--predictions", "one.csv,two.csv", "--weights", "3,1", "--output", "o.csv")
    made = pd.read_csv("o.csv", dtype={"labels_0": str})
    assert made.columns.tolist() == columns
    assert made["labels_0"].tolist() == ["0", "1"], "no mean of class numbers"
    np.testing.assert_allclose(made["labels_0_0"], [0.5, 0.175])
    np.testing.assert_allclose(made["toxic"], [0.3, 0.5])
