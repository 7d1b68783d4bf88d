"""A prediction file is scored against released labels, joined by id; unscored rows are masked."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.evaluation.labeled_predictions import read_labeled_predictions
from auxfold.evaluation.prediction_scores import (
    ScoredColumn,
    compute_interval,
    compute_scores,
    score_labeled_predictions,
)
from auxfold.tasks.metrics import f1_at_half, roc_auc
from conftest import make_experiment


def score_auc(labels: str, predictions: str, experiment: Experiment) -> dict[str, float | None]:
    """The scores that the command prints for these files."""
    labeled = read_labeled_predictions(labels, predictions, experiment)
    return score_labeled_predictions(labeled, "auc", experiment)


def test_released_labels_may_call_the_target_toxicity(tmp_path):
    labels = pd.DataFrame({"id": ["a", "b", "c"], "toxicity": [0.9, 0.1, 0.5]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    predictions = pd.DataFrame({"id": ["c", "a", "b"], "prediction": [0.2, 0.8, 0.3]})
    predictions.to_csv(tmp_path / "p.csv", index=False)
    main = {"name": "main", "kind": "binary", "columns": ["target"]}
    experiment = make_experiment("t", "b", tasks=[main])
    files = (str(tmp_path / "labels.csv"), str(tmp_path / "p.csv"))
    assert score_auc(*files, experiment) == {"auc": 0.5, "auc/target": 0.5}
    predictions.iloc[1:].to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(InputError, match="lacks 1 of the 3 ids"):
        score_auc(*files, experiment)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, -1, 0, -1], 1.0),  # -1: Kaggle did not score the row
        (["1", "", "0", ""], 1.0),
        ([1, 0, 0, 1], 0.5),
        ([1, "yes", 0, 0], "column 'toxic', row 2: 'yes' is not a number"),
        ([1, 2, 0, 0], "column 'toxic', row 2: label 2; labels lie in"),
    ],
)
def test_labels_that_cannot_be_scored_are_masked_or_refused(tmp_path, labels, expected):
    ids = list("abcd")
    pd.DataFrame({"id": ids, "toxic": labels}).to_csv(tmp_path / "l.csv", index=False)
    pd.DataFrame({"id": ids, "toxic": [0.9, 0.8, 0.7, 0.6]}).to_csv(tmp_path / "p.csv", index=False)
    files = str(tmp_path / "l.csv"), str(tmp_path / "p.csv")
    experiment = make_experiment("t", "b")
    if isinstance(expected, float):
        assert score_auc(*files, experiment)["auc/toxic"] == expected
        return
    with pytest.raises(InputError, match=expected):
        score_auc(*files, experiment)


TAGS = {
    "name": "topics", "kind": "tags", "columns": ["topics"], "tags": ["bug", "praise"],
    "cell_format": "separated", "separator": ";",
}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "task", "expected"),
    [
        (["yes", "no", "-1", "no"], {}, 1.0),  # -1 among words: not scored
        (["spam", "ham", "-1", "ham"], {"positive": "spam"}, 1.0),
        (["-1", "1", "-1", "1"], {}, None),  # no second class: -1 stays "not scored"
        (["ham", "ham", "-1", "ham"], {"positive": "spam"}, "never holds 'spam'"),
    ],
)
def test_released_labels_may_be_words_and_minus_one_is_not_scored(tmp_path, cells, task, expected):
    ids = list("abcd")
    pd.DataFrame({"id": ids, "y": cells}).to_csv(tmp_path / "l.csv", index=False)
    pd.DataFrame({"id": ids, "y": [0.9, 0.8, 0.95, 0.6]}).to_csv(tmp_path / "p.csv", index=False)
    files = str(tmp_path / "l.csv"), str(tmp_path / "p.csv")
    binary = {"name": "main", "kind": "binary", "columns": ["y"], **task}
    experiment = make_experiment("t", "b", tasks=[binary])
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            score_auc(*files, experiment)
        return
    assert score_auc(*files, experiment)["auc"] == expected


def test_released_tags_and_keys_of_objects_are_scored_label_by_label(tmp_path):
    labels = [
        {"id": "a", "topics": ["bug"], "meta": {"rain": 1}},
        {"id": "b", "topics": ["bug", "praise", "new"], "meta": {"rain": 0}},
        {"id": "c", "topics": [], "meta": {}},
    ]
    (tmp_path / "l.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    columns = {"topics": ["bug", "", ""], "topics_bug": [0.9, 0.4, 0.1], "topics_praise": 0.2}
    frame = pd.DataFrame({"id": list("abc"), **columns, "meta.rain": [0.6, 0.7, 0.1]})
    frame.to_csv(tmp_path / "p.csv", index=False)
    tags = {**TAGS, "main": True, "cell_format": "json", "separator": None, "unseen": "ignore"}
    tags = {key: value for key, value in tags.items() if value is not None}
    rain = {"name": "rain", "kind": "binary", "columns": ["meta.rain"]}
    experiment = make_experiment("t", "b", tasks=[tags, rain])
    files = str(tmp_path / "l.jsonl"), str(tmp_path / "p.csv")
    assert score_auc(*files, experiment) == {
        "auc": 0.5,
        "auc/topics_bug": 1.0,
        "auc/topics_praise": 0.5,
        "auc/meta.rain": 0.0,
    }
    labeled = read_labeled_predictions(*files, experiment)
    assert labeled.notes() == [
        f"{files[0]}: topics: 1 tag not among those of the task is left out: 'new' (1)"
    ]


def test_the_score_of_a_file_has_an_interval():
    labels, scores = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.4, 0.5, 0.1])
    of_area = [ScoredColumn("y", roc_auc, labels, scores)]
    assert compute_scores("auc", of_area) == {"auc": 0.75, "auc/y": 0.75}
    interval = compute_interval("auc", of_area)
    assert interval["method"] == "delong" and interval["low"] < 0.75 < interval["high"]
    columns = [ScoredColumn(c, f1_at_half, np.tile(labels, 25), np.tile(scores, 25)) for c in "ab"]
    assert compute_scores("f1", columns)["f1"] == pytest.approx(0.5)
    interval = compute_interval("f1", columns)
    assert (interval["method"], interval["draws"], interval["rows"]) == ("bootstrap", 1000, 100)
    assert interval["low"] < 0.5 < interval["high"]
    unlabeled = [ScoredColumn("y", f1_at_half, np.full(4, np.nan), scores)]
    assert compute_interval("f1", unlabeled) is None
