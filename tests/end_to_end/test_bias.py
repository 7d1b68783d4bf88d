"""Bias by identity on the whole way: selected by, printed, reported, and scored from files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer

from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.data.loading import read_training_table
from auxfold.data.sample_weights import fit_sample_weights
from auxfold.datasets.sample import build_sample
from auxfold.datasets.sample_words import SCORED
from auxfold.errors import InputError
from auxfold.fairness.bias_table import bias_frame, format_bias_table
from auxfold.fairness.jigsaw_bias import Bias, jigsaw_bias
from auxfold.report.bias_plot import plot_bias
from auxfold.tasks import TaskSet
from auxfold.tracking.tracker import Tracker
from auxfold.training import dry_run as plan
from auxfold.training.fold import train_fold
from auxfold.training.objective import Objective
from auxfold.training.split import create_folds
from benchmarks.bias import kernel_bias
from commands import call_main
from conftest import make_experiment

IDENTITIES = ["muslim", "white", "female"]
TASKS = [
    {"name": "toxicity", "kind": "binary", "columns": ["target"], "main": True},
    {"name": "identities", "kind": "binary", "columns": IDENTITIES, "weight": 0.25},
]


@pytest.fixture(scope="module")
def trained_dir(tmp_path_factory, backbone) -> Path:
    """Two trained folds of an experiment whose identities are auxiliary targets too."""
    trained_dir = tmp_path_factory.mktemp("bias")
    for name, frame in build_sample(1_500, 300, 0).items():
        frame.to_csv(trained_dir / name, index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained_dir)
        experiment = make_experiment(
            "train.csv", backbone, tasks=TASKS, identities={"columns": IDENTITIES},
            data={"train": "train.csv", "text": "comment_text"},
            sample_weights={"scheme": ["identity_strict", "annotators"],
                         "annotators": "toxicity_annotator_count"},
            selection={"metric": "jigsaw_bias/score"},
            train={"epochs": 1, "evaluations_per_epoch": 2, "learning_rate": 1e-2},
        )  # fmt: skip
        (trained_dir / "e.toml").write_text(to_toml(experiment))
        create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
    return trained_dir


@pytest.fixture
def trained_cwd(trained_dir, monkeypatch) -> Path:
    monkeypatch.chdir(trained_dir)
    return trained_dir


def expected(labels: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, object]:
    """The kernel's numbers of a label table and a prediction table with ids."""
    both = labels.merge(predictions[["id", "target"]], on="id", suffixes=("", "_predicted"))
    truth = both["target"].to_numpy()
    return expected_metrics(
        kernel_bias(truth, both["target_predicted"], both[IDENTITIES].to_numpy(), IDENTITIES)
    )


def expected_metrics(areas: dict[str, float]) -> dict[str, object]:
    """As metrics: under their names, about, and None for NaN."""
    return {
        f"jigsaw_bias/{part}": None if np.isnan(area) else pytest.approx(area, abs=1e-6)
        for part, area in areas.items()
    }


def test_a_fold_is_selected_by_the_score_and_keeps_every_part(trained_cwd):
    metrics = json.loads(Path("outputs/tiny/fold_0/metrics.json").read_text())
    truth = expected(pd.read_csv("train.csv"), pd.read_parquet("outputs/tiny/fold_0/oof.parquet")
                     .astype({"id": int}))  # fmt: skip
    assert {name: metrics[name] for name in truth} == truth
    run = json.loads(Path("outputs/tiny/fold_0/run.json").read_text())
    assert run["selection"]["metric"] == "jigsaw_bias/score"
    assert run["selection"]["value"] == pytest.approx(metrics["jigsaw_bias/score"])
    lines = Path("outputs/tiny/fold_0/history.jsonl").read_text().splitlines()
    scores = [json.loads(line)["metrics"]["jigsaw_bias/score"] for line in lines]
    assert len(scores) == 2 and run["selection"]["value"] == max(scores)


def test_the_table_is_printed_at_every_evaluation(trained_cwd, capsys):
    experiment = load_experiment("e.toml")
    train_fold(experiment, 1, overwrite=True)
    output = capsys.readouterr().out
    assert output.count("power mean, p = -5") == 2
    assert output.count("\nmuslim ") == 2 and output.count("jigsaw_bias/score 0.") >= 4


def test_identities_are_targets_too_and_rows_without_annotation_are_masked(trained_cwd):
    """The masked rows' identity logits have no gradient; the annotated ones' have."""
    experiment = load_experiment("e.toml")
    table = read_training_table(experiment)
    np.testing.assert_array_equal(table.labels[:, 1:], table.identities)
    known = ~np.isnan(table.identities).any(axis=1)
    assert 200 < known.sum() < 800
    leaf = torch.zeros(len(table), 4, requires_grad=True)
    rows = np.arange(len(table))
    fitted = fit_sample_weights(experiment, table, rows)
    objective = Objective(TaskSet.from_experiment(experiment), fitted)
    logits = {"toxicity": leaf[:, :1], "identities": leaf[:, 1:]}
    sum(objective.for_step(rows)(logits, rows).values()).backward()
    moved = leaf.grad.numpy() != 0
    np.testing.assert_array_equal(moved[:, 1:].any(axis=1), known)
    oof = pd.read_parquet("outputs/tiny/fold_0/oof.parquet")
    names = ["target", *IDENTITIES]
    assert list(oof.columns) == ["id", "fold", *names, *(f"{name}__label" for name in names)]


def test_the_dry_run_tells_annotated_rows_and_weights(trained_cwd, monkeypatch):
    monkeypatch.setattr("auxfold.training.speed.STEP_SECONDS", 0.0)
    output = "\n".join(plan.plan_fold(load_experiment("e.toml"), 0))
    table = read_training_table(load_experiment("e.toml"))
    train = np.setdiff1d(np.arange(len(table)), read_rows_of_fold(table))
    known = (~np.isnan(table.identities[train])).any(axis=1).sum()
    some = (table.identities[train] >= 0.5).any(axis=1).sum()
    assert f"identities {known} of the rows to train on annotated, {some} have one" in output
    assert "of toxicity by identity_strict times annotators: 0." in output


def read_rows_of_fold(table) -> np.ndarray:
    held_out = pd.read_parquet("outputs/tiny/fold_0/oof.parquet")["id"]
    return np.flatnonzero(np.isin(table.ids, held_out))


def test_the_cross_validation_has_it_in_print_file_report_and_wandb(
    trained_cwd, monkeypatch, capsys
):
    tables = {}
    monkeypatch.setattr(Tracker, "table", lambda _, name, frame: tables.update({name: frame}))
    call_main("evaluate", "--config", "e.toml")
    output = capsys.readouterr().out
    record = json.loads(Path("outputs/tiny/cv.json").read_text())
    truth = expected(pd.read_csv("train.csv"),
                     pd.read_parquet("outputs/tiny/oof.parquet").astype({"id": int}))  # fmt: skip
    assert record["main"] == "jigsaw_bias/score"
    assert {name: record["oof"][name] for name in truth} == truth
    assert len(record["folds"]) == 2 and "jigsaw_bias/bpsn/white" in record["mean"]
    bias = Bias.from_record(record["bias"])
    assert bias.metrics().items() <= record["oof"].items()
    assert format_bias_table(bias) in output and tables["jigsaw_bias"].equals(bias_frame(bias))
    page = Path("outputs/tiny/report.html").read_text()
    assert "<h3>Bias by identity</h3>" in page and f"jigsaw_bias/score {bias.score:.4f}" in page


def test_a_prediction_file_is_scored_by_identity(trained_cwd, capsys):
    """The released labels call the target "toxicity"; unscored -1 and empty identities are fine."""
    labels = pd.read_csv("test_labels.csv")
    random = np.random.default_rng(0)
    guesses = pd.DataFrame({"id": labels["id"], "target": random.random(len(labels))})
    guesses.sample(frac=1, random_state=1).rename(columns={"target": "prediction"}).to_csv(
        "guesses.csv", index=False
    )
    arguments = ("--config", "e.toml", "--labels", "test_labels.csv", "--predictions",
                 "guesses.csv", "--metric", "jigsaw_bias/score")  # fmt: skip
    call_main("evaluate", *arguments, "--json")
    metrics = json.loads(capsys.readouterr().out)
    interval = metrics.pop("intervals")["jigsaw_bias/score"]
    low, high = interval["low"], interval["high"]
    assert metrics == expected(labels.rename(columns={"toxicity": "target"}), guesses)
    assert low < metrics["jigsaw_bias/score"] < high and interval["method"] == "bootstrap"
    call_main("evaluate", *arguments, "--heatmap", "bias.svg")
    output = capsys.readouterr().out
    assert f"jigsaw_bias/score {metrics['jigsaw_bias/score']:.4f}" in output
    assert f"95 % interval of jigsaw_bias/score: {low:.4f} to {high:.4f} (bootstrap)" in output
    assert Path("bias.svg").read_text().startswith("<svg")


def test_a_table_of_texts_is_scored_by_the_terms_in_them(trained_cwd, capsys):
    texts = ["Gay men  garden", "gayle", "deaf-blind", "a GAY\nman", "hard  of\nhearing", "rain"]
    flags = np.array([[1, 0], [0, 0], [0, 1], [1, 0], [0, 1], [0, 0]], dtype=float)
    table = pd.DataFrame({"text": texts * 20, "label": [0, 1, 1, 0, 1, 0] * 20})
    table.loc[::7, "label"] = 1
    table.to_parquet("posts.parquet")
    random = np.random.default_rng(0)
    guesses = pd.DataFrame({"id": range(120), "target": random.random(120)})
    guesses.to_csv("guesses.csv", index=False)
    Path("terms.txt").write_text("gay\n\ndeaf, hard of hearing\nnowhere\n")
    arguments = ["--config", "e.toml", "--labels", "posts.parquet", "--predictions", "guesses.csv",
                 "--identity-terms", "terms.txt"]  # fmt: skip
    with pytest.raises(InputError, match="shares no label column|has no column"):
        call_main("evaluate", *arguments, "--without-ids")
    capsys.readouterr()
    arguments += ["--rename", "text=comment_text", "--rename", "label=target", "--without-ids"]
    call_main("evaluate", *arguments, "--json")
    metrics = json.loads(capsys.readouterr().out)
    metrics.pop("intervals")
    names = ["gay", "deaf", "nowhere"]
    flags = np.tile(np.column_stack([flags, np.zeros(6)]), (20, 1))
    assert metrics == expected_metrics(
        kernel_bias(table["label"].astype(float), guesses["target"], flags, names)
    )
    call_main("evaluate", *arguments)
    output = capsys.readouterr().out
    row = next(line.split() for line in output.splitlines() if line.startswith("nowhere"))
    assert row == ["nowhere", "0", "0", "–", "–", "–"]
    call_main("inference", "--config", "e.toml", "--input", "posts.parquet", "--rename",
              "text=comment_text", "--without-ids", "--output", "made.csv")  # fmt: skip
    assert pd.read_csv("made.csv")["id"].tolist() == list(range(120))
    with pytest.raises(InputError, match="renamed to 'txet', which is not read"):
        call_main("inference", "--config", "e.toml", "--input", "posts.parquet", "--rename",
                  "text=txet", "--output", "made.csv")  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--metric", "jigsaw_bias/socre"], "no metric 'jigsaw_bias/socre' .did you mean"),
        (["--metric", "jigsaw_bias/score", "--set", "identities.columns=[]",
          "--set", "selection.metric=toxicity/auc", "--set", "sample_weights={}"], "no identities"),
        (["--metric", "jigsaw_bias/score", "--set", "identities.columns=['nobody']",
          "--set", "tasks.identities.columns=['x']"], "test_labels.csv has no column 'nobody'"),
        (["--metric", "auc", "--identity-terms", "t.txt"], "--identity-terms is for --metric"),
        (["--identity-terms", "none.txt"], "none.txt cannot be read as a list of terms"),
        (["--heatmap", "x.svg"], "--heatmap is for --metric jigsaw_bias/score"),
        (["--metric", "jigsaw_bias/score", "--heatmap", "x.png"], "give a .svg file"),
        (["--rename", "text"], "--rename text: expected OLD=NEW"),
        (["--rename", "nothing=target"], "has no column 'nothing' to rename"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(trained_cwd, arguments, named):
    labels = pd.read_csv("test_labels.csv")
    labels[["id"]].assign(prediction=0.5).to_csv("flat.csv", index=False)
    with pytest.raises(InputError, match=named):
        call_main("evaluate", "--config", "e.toml", "--labels", "test_labels.csv",
                  "--predictions", "flat.csv", *arguments)  # fmt: skip


def make_bias_experiment(**changes) -> Experiment:
    return make_experiment("t", "b", **changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"selection": {"metric": "jigsaw_bias/score"}}, "needs identities.columns"),
        ({"selection": {"metric": "jigsaw_bias/bpsn/blakc"}, "identities": {"columns": ["black"]}},
         "'jigsaw_bias/bpsn/blakc' is unknown .did you mean 'jigsaw_bias/bpsn/black'"),
        ({"identities": {"columns": ["x"]}, "tasks": [
            {"name": "t", "kind": "regression", "columns": ["y"]}]}, "need a main task of kind"),
        ({"identities": {"columns": ["x"]}, "tasks": [
            {"name": "jigsaw_bias", "kind": "binary", "columns": ["y"]}]}, "a task is called"),
    ],
)  # fmt: skip
def test_what_cannot_be_selected_by_is_refused_at_load(changes, named):
    with pytest.raises(InputError, match=named):
        make_bias_experiment(**changes)


def test_a_score_that_a_fold_leaves_undefined_is_refused_before_training(trained_cwd):
    experiment = load_experiment("e.toml", ["name=rare"])
    frame = pd.read_csv("train.csv")
    frame.loc[frame["target"] >= 0.5, IDENTITIES] = np.nan  # no subgroup has a positive row
    frame.to_csv("rare.csv", index=False)
    experiment = load_experiment("e.toml", ["name=rare", "data.train=rare.csv"])
    create_folds(experiment)
    with pytest.raises(InputError, match="'jigsaw_bias/score' is undefined on the validation"):
        train_fold(experiment, 0)


def test_the_table_and_the_map_of_undefined_areas():
    labels, scores = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.9, 0.2, 0.8])
    flags = np.array([[1.0, 0], [1, 0], [0, 0], [0, 0]])
    bias = jigsaw_bias(labels, scores, flags, ["some", "none"])
    lines = format_bias_table(bias).splitlines()
    assert lines[1].split() == ["some", "2", "1", "1.0000*", "1.0000*", "1.0000*"]
    assert lines[2].split() == ["none", "0", "0", "–", "–", "–"]
    assert len(lines[1].rstrip("*")) == len(lines[2]), "numbers stand below each other"
    plot = plot_bias(bias)
    assert plot.svg.startswith("<svg") and "Lowest: subgroup some 1.0000" in plot.alt
    nobody = jigsaw_bias(labels, scores, flags[:, 1:], ["none"])
    assert nobody.score is None and "No area is defined." in plot_bias(nobody).alt


def worst_bpsn(path: str, rows: int, **sample_weights) -> float:
    """Of a linear model of words, trained by the real objective on the first rows of a table."""
    experiment = make_experiment(
        path, "b", data={"train": path, "text": "comment_text"}, tasks=TASKS[:1],
        identities={"columns": list(SCORED)}, sample_weights=sample_weights,
    )  # fmt: skip
    table = read_training_table(experiment)
    words = CountVectorizer(binary=True, min_df=3, dtype=np.float32)
    features = torch.tensor(words.fit_transform(table.texts[0]).toarray())
    model = torch.nn.Linear(features.shape[1], 1)
    torch.nn.init.zeros_(model.weight)
    train = np.arange(rows)
    fitted = fit_sample_weights(experiment, table, train)
    objective = Objective(TaskSet.from_experiment(experiment), fitted)
    optimizer, step_loss = torch.optim.Adam(model.parameters(), lr=0.05), objective.for_step(train)
    for _ in range(30):
        optimizer.zero_grad()
        step_loss({"toxicity": model(features[:rows])}, train)["toxicity"].backward()
        optimizer.step()
    scores = model(features[rows:]).detach().numpy()[:, 0]
    bias = jigsaw_bias(table.labels[rows:, 0], scores, table.identities[rows:], list(SCORED))
    return min(identity.bpsn for identity in bias.identities)


def test_identity_strict_raises_the_worst_identity_where_a_bias_is_planted(tmp_path):
    gains = []
    for seed in range(3):
        path = str(tmp_path / "t.csv")
        build_sample(7_000, 10, seed)["train.csv"].to_csv(path, index=False)
        plain = worst_bpsn(path, 3_000)
        gains.append(worst_bpsn(path, 3_000, scheme="identity_strict") - plain)
    assert min(gains) > 0.002 and np.mean(gains) > 0.008, gains
