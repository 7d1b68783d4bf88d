"""Released labels are recognized and scored as on their board, and the score is ranked there."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from auxfold.config.experiment import load_experiment, to_toml
from auxfold.evaluation.leaderboards import JIGSAW_2018, JIGSAW_2019
from auxfold.fairness.jigsaw_bias import jigsaw_bias
from conftest import make_experiment

ROOT = Path(__file__).parents[2]
NINE = list(JIGSAW_2019.identities)


@pytest.fixture
def evaluate(tmp_path, monkeypatch, capsys):
    """``scripts/evaluate.py`` in an empty directory: what it prints, or its exit code and error."""
    monkeypatch.chdir(tmp_path)

    def run_evaluate(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
        capsys.readouterr()
        try:
            runpy.run_path(str(ROOT / "scripts/evaluate.py"), run_name="__main__")
        except SystemExit as stop:
            if stop.code:
                return f"{stop.code}: {capsys.readouterr().err}"
        return capsys.readouterr().out

    return run_evaluate


def released_2019(rows: int = 400) -> pd.DataFrame:
    """As ``test_private_expanded.csv``: its main column is called ``toxicity``."""
    random = np.random.default_rng(0)
    identities = np.where(random.random((rows, 9)) < 0.6, random.random((rows, 9)), np.nan)
    frame = pd.DataFrame(identities.round(3), columns=NINE)
    frame.insert(0, "id", [str(7_000_000 + n) for n in range(rows)])
    return frame.assign(comment_text="x", toxicity=random.random(rows).round(2), severe_toxicity=0)


def config(**changes) -> str:
    tasks = [{"name": "toxicity", "kind": "binary", "columns": ["target"], "main": True}]
    experiment = make_experiment("t.csv", "b", **{"tasks": tasks, "selection": {}, **changes})
    Path("e.toml").write_text(to_toml(experiment))
    return "e.toml"


def predicted(frame: pd.DataFrame, noise: float) -> pd.DataFrame:
    random = np.random.default_rng(1)
    guesses = frame["toxicity"] + noise * random.normal(size=len(frame))
    return pd.DataFrame({"id": frame["id"], "prediction": guesses}).sample(frac=1, random_state=0)


@pytest.mark.parametrize("identities", [{}, {"columns": ["male", "female"]}])
def test_private_labels_of_2019_give_the_boards_score_and_its_rank(evaluate, identities):
    frame = released_2019()
    frame.to_csv("test_private_expanded.csv", index=False)
    predicted(frame, 0.1).to_csv("submission.csv", index=False)
    files = ("--config", config(identities=identities), "--labels", "test_private_expanded.csv",
             "--predictions", "submission.csv")  # fmt: skip
    by_id = predicted(frame, 0.1).set_index("id").loc[frame["id"], "prediction"].to_numpy()
    expected = jigsaw_bias(frame["toxicity"].to_numpy(), by_id, frame[NINE].to_numpy(), NINE)
    scores = json.loads(evaluate(*files, "--json"))
    assert scores["jigsaw_bias/score"] == pytest.approx(expected.score)
    assert scores["jigsaw_bias/bpsn/muslim"] == pytest.approx(expected.metrics()[
        "jigsaw_bias/bpsn/muslim"])  # fmt: skip
    assert scores["auc/target"] == pytest.approx(roc_auc_score(frame["toxicity"] >= 0.5, by_id))
    lines = evaluate(*files).splitlines()
    assert "test_private_expanded.csv: toxicity is target here" in lines
    assert lines[-1] == (
        f"Jigsaw Unintended Bias 2019, private board: {expected.score:.5f}, "
        f"{JIGSAW_2019.describe_rank(expected.score)}; of 400 rows, the board has 97,320"
    )
    auc = json.loads(evaluate(*files, "--metric", "auc", "--json"))
    assert list(auc.pop("intervals")) == ["auc"]
    assert auc == {"auc": scores["auc"], "auc/target": scores["auc/target"]}


def test_other_identities_and_the_public_boards_labels_have_no_rank(evaluate):
    frame = released_2019()
    for name in ("test_private_expanded.csv", "test_public_expanded.csv", "other.csv"):
        frame.to_csv(name, index=False)
    predicted(frame, 0.1).to_csv("submission.csv", index=False)
    files = ("--config", config(identities={"columns": ["male", "female"]}), "--predictions",
             "submission.csv", "--labels")  # fmt: skip
    output = evaluate(*files, "test_private_expanded.csv", "--metric", "jigsaw_bias/score")
    assert "not ranked on the private board, since the board's identities are male" in output
    output = evaluate(*files, "test_public_expanded.csv")
    assert "since the known scores are those of the private board" in output
    output = evaluate(*files, "other.csv")
    assert "board" not in output, "generated rows of the same columns"
    assert output.splitlines()[1].startswith("auc ")


def test_predictions_of_other_rows_are_refused_with_what_to_do(evaluate):
    frame = released_2019()
    frame.to_csv("test_private_expanded.csv", index=False)
    predicted(frame, 0.1).assign(id=lambda f: "x" + f["id"]).to_csv("submission.csv", index=False)
    output = evaluate("--config", config(), "--labels", "test_private_expanded.csv",
                    "--predictions", "submission.csv")  # fmt: skip
    assert output.startswith("2: ") and "lacks 400 of the 400 ids" in output
    assert "inference.py --input test_private_expanded.csv" in output


def test_labels_of_2018_leave_out_what_was_not_scored(evaluate):
    random = np.random.default_rng(2)
    columns = list(JIGSAW_2018.columns)
    labels = pd.DataFrame((random.random((300, 6)) < 0.3).astype(int), columns=columns)
    guesses = (labels + 0.5 * random.normal(size=(300, 6))).assign(id=[f"i{n}" for n in range(300)])
    is_unscored = random.random(300) < 0.6
    labels[is_unscored] = -1
    labels.insert(0, "id", guesses["id"])
    labels.to_csv("test_labels.csv", index=False)
    guesses[["id", *columns]].sample(frac=1, random_state=1).to_csv("all.csv", index=False)
    guesses[["id", "toxic"]].to_csv("one.csv", index=False)
    tasks = load_experiment(ROOT / "configs/jigsaw_2018.toml").model_dump(mode="json")["tasks"]
    files = ("--config", config(tasks=tasks), "--labels", "test_labels.csv", "--predictions")
    is_scored = ~is_unscored
    areas = [roc_auc_score(labels.loc[is_scored, c], guesses.loc[is_scored, c]) for c in columns]
    scores = json.loads(evaluate(*files, "all.csv", "--json"))
    assert scores["auc"] == pytest.approx(np.mean(areas))
    assert scores["auc/threat"] == pytest.approx(areas[columns.index("threat")])
    lines = evaluate(*files, "all.csv").splitlines()
    note = f"{is_scored.sum()} of 300 rows are scored, the others are marked -1"
    assert f"test_labels.csv: {note}" in lines
    assert lines[-1].startswith("Toxic Comment Classification 2018, private board")
    assert f": {np.mean(areas):.5f}, below detoxify's BERT-base (0.9864); of 300" in lines[-1]
    output = evaluate(*files, "one.csv")
    assert "the mean over toxic, severe_toxic" in output and "--all-tasks" in output


@pytest.mark.parametrize(
    ("score", "rank"),
    [
        (0.5, "below detoxify's ALBERT (0.9336)"),
        (0.9336, "between detoxify's ALBERT (0.9336) and detoxify's RoBERTa (0.9364)"),
        (0.9412, "between an ordinary BERT-base (0.941) and one tuned BERT-base (0.94376)"),
        (0.94734, "as high as the winner (0.94734)"),
        (0.9474, "above the winner (0.94734)"),
    ],
)
def test_ranks_by_hand(score, rank):
    assert JIGSAW_2019.describe_rank(score) == rank


def test_reference_scores_rise():
    for leaderboard in (JIGSAW_2019, JIGSAW_2018):
        scores = [score for score, _ in leaderboard.reference_scores]
        assert scores == sorted(set(scores))
