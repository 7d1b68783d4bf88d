"""The proposals for ordinary tables of many kinds, from the file to the important keys."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import load_experiment
from auxfold.data.learned_tags import learn_tags
from auxfold.data.loading import read_prediction_table
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.quickstart.profile import Requests
from auxfold.quickstart.proposal import propose_experiment
from auxfold.training.split import load_training_table
from conftest import WORDS

ROWS = 120
ROW = np.arange(ROWS)


def sentences(low: int = 4, high: int = 12, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(low, high))) for _ in ROW]


def choose(*values: Any, seed: int = 0) -> list[Any]:
    random = np.random.default_rng(seed)
    return [values[i] for i in random.integers(0, len(values), ROWS)]


def write(frame: pd.DataFrame, path: str = "table.csv", **options: Any) -> str:
    frame.to_csv(path, index=False, **options)
    return path


def propose(path: str, **requests: Any) -> tuple[dict[str, Any], Table]:
    """The proposal as it is read, and the training table that it gives."""
    text, _ = propose_experiment(path, "e", requests=Requests(**requests))
    Path("e.toml").write_text(text)
    return tomllib.loads(text), load_training_table(learn_tags(load_experiment("e.toml")))


def test_spam_in_latin_1_without_names(work_dir):
    frame = pd.DataFrame({"v1": choose("ham", "ham", "spam"), "v2": sentences()})
    frame["v2"] += " for £5"
    raw, table = propose(write(frame, encoding="latin-1"))
    assert raw["data"] == {
        "train": "table.csv", "encoding": "cp1252", "id": "", "text": "v2"
    }  # fmt: skip
    task = {"name": "v1", "kind": "binary", "columns": ["v1"], "positive": "spam"}
    assert raw["tasks"] == [task]
    assert table.labels[:, 0].tolist() == (frame["v1"] == "spam").astype(float).tolist()


def make_tickets() -> pd.DataFrame:
    return pd.DataFrame({
        "Ticket ID": [f"T-{n}" for n in ROW], "Body": sentences(8, 20),
        "Subject": sentences(2, 5, seed=1), "Priority": choose("low", "medium", "high"),
        "Queue": choose("Billing", "IT", "Sales", seed=2),
    })  # fmt: skip


def test_tickets_have_two_readings(work_dir):
    with pytest.raises(InputError) as refusal:
        propose(write(make_tickets(), sep=";"))
    assert str(refusal.value).startswith(
        "table.csv: which column matters? 'Priority' (multiclass, 3 classes, "
    )
    assert str(refusal.value).endswith("; give --main Priority or --main Queue")
    raw, _ = propose("table.csv", main=["Queue"])
    assert raw["data"] == {
        "train": "table.csv", "separator": ";", "id": "Ticket ID", "text": ["Subject", "Body"]
    }  # fmt: skip
    assert [(task["name"], task["kind"]) for task in raw["tasks"]] == [("Queue", "multiclass")]
    assert '# name = "Priority"' in Path("e.toml").read_text()


@pytest.mark.parametrize("form", ["{a};{b}", "{a}|{b}", "{a}, {b}", '["{a}", "{b}"]'])
def test_tags_in_one_cell(work_dir, form):
    pairs = zip(choose("java", "sql", "html"), choose("api", "error", seed=1), strict=True)
    tags = [form.format(a=a, b=b) for a, b in pairs]
    raw, table = propose(write(pd.DataFrame({"question": sentences(), "topics": tags})))
    assert raw["tasks"][0]["kind"] == "tags" and raw["tasks"][0]["columns"] == ["topics"]
    assert table.labels.shape == (ROWS, 5)
    assert (table.labels.sum(axis=1) == 2).all()


def test_rare_tags_are_left_out(work_dir):
    tags = ["a;b" if n % 2 else "b;c" for n in ROW]
    tags[7] = "a;d"
    raw, table = propose(write(pd.DataFrame({"text": sentences(), "tags": tags})))
    assert raw["tasks"][0]["min_count"] == 5 and table.labels.shape == (ROWS, 3)
    assert "min_count = 5  # 1 rarer tag is left out" in Path("e.toml").read_text()


def test_ratings_are_ordered_and_a_unique_number_is_an_id(work_dir):
    frame = pd.DataFrame({
        "reviewId": ROW + 7000, "Review Text": sentences(), "Rating": choose(1, 2, 3, 4, 5),
        "row": ROW,
    })  # fmt: skip
    raw, _ = propose(write(frame))
    assert raw["data"]["id"] == "reviewId" and raw["data"]["text"] == "Review Text"
    assert raw["tasks"][0]["kind"] == "ordinal"
    assert raw["tasks"][0]["classes"] == ["1", "2", "3", "4", "5"]
    assert '# not used: "row" (a different whole number in every row)' in Path("e.toml").read_text()


def test_tweets_with_a_split_and_a_class_none(work_dir):
    frame = pd.DataFrame({
        "tweet_id": [str(10**18 + n) for n in ROW], "tweet": sentences(),
        "stance": choose("favor", "against", "none"),
        "Split": choose("train", "dev", "test", seed=3),
    })  # fmt: skip
    raw, table = propose(write(frame))
    assert raw["data"] == {
        "train": "table.csv", "id": "tweet_id", "text": "tweet", "split": "Split",
        "test": "table.csv", "test_labels": "table.csv",
    }  # fmt: skip
    assert raw["folds"] == {"validation": "data.split"}
    assert raw["tasks"][0]["classes"] == ["against", "favor", "none"]
    assert not np.isnan(table.labels).any()
    counts = frame["Split"].value_counts()
    assert len(table) == counts["train"] + counts["dev"] and table.held_out.sum() == counts["dev"]
    test = read_prediction_table(load_experiment("e.toml"), "table.csv")
    assert test.ids.tolist() == frame["tweet_id"][frame["Split"] == "test"].tolist()


def test_a_split_without_dev_rows_is_divided_into_folds(work_dir):
    frame = pd.DataFrame({
        "text": sentences(), "label": choose(0, 1), "set": choose("train", "test", seed=1)
    })  # fmt: skip
    raw, table = propose(write(frame))
    assert raw["data"]["split"] == "set" and "folds" not in raw
    assert len(table) == (frame["set"] == "train").sum() and table.held_out is None


@pytest.mark.parametrize(
    ("parts", "language"),
    [
        (("质量很好", "物流太慢了", "非常满意", "不推荐购买"), "Chinese"),
        (("品質が良い", "配送が遅い", "また買いたい", "おすすめしません"), "Japanese"),
    ],
)
def test_texts_without_spaces_are_texts(work_dir, parts, language):
    texts = [
        f"{a}{b}{n}"
        for n, (a, b) in enumerate(zip(choose(*parts), choose(*parts, seed=1), strict=True))
    ]
    raw, _ = propose(write(pd.DataFrame({"label": choose(0, 1), "评论": texts})))
    assert (
        raw["data"]["text"] == "评论"
        and raw["data"]["id"] == ""
        and raw["tasks"][0]["name"] == "label"
    )
    assert "# warning: model.backbone = 'embedded' does not know" in Path("e.toml").read_text()


def test_short_texts_are_texts(work_dir):
    texts = [
        f"{a} {b}{n}"
        for n, (a, b) in enumerate(zip(choose(*WORDS), choose(*WORDS, seed=1), strict=True))
    ]
    raw, _ = propose(write(pd.DataFrame({"query": texts, "intent": choose("buy", "ask", "leave")})))
    assert raw["data"]["text"] == "query" and raw["tasks"][0]["columns"] == ["intent"]


def test_objects_are_a_column_per_key(work_dir):
    rows = [
        {"id": int(n), "text": text, "labels": {"rude": int(n % 3 == 0), "calm": int(n % 2)}}
        for n, text in zip(ROW, sentences(), strict=True)
    ]
    Path("table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw, table = propose("table.jsonl")
    assert raw["tasks"][0]["kind"] == "binary"
    assert raw["tasks"][0]["columns"] == ["labels.rude", "labels.calm"]
    assert table.labels.sum(axis=0).tolist() == [40, 60]


def test_votes_per_class_are_soft_labels(work_dir):
    votes = np.random.default_rng(0).multinomial(5, [0.5, 0.3, 0.2], ROWS)
    frame = pd.DataFrame(votes, columns=["favor_votes", "against_votes", "none_votes"])
    raw, table = propose(write(frame.assign(text=sentences())))
    task = raw["tasks"][0]
    assert task["kind"] == "multiclass" and task["normalize_votes"] and "classes" not in task
    assert task["columns"] == list(frame.columns)
    np.testing.assert_allclose(table.labels, votes / 5, atol=1e-6)


def test_one_hot_columns_are_classes(work_dir):
    winner = np.eye(3, dtype=int)[choose(0, 1, 2)]
    frame = pd.DataFrame(winner, columns=["winner_a", "winner_b", "winner_tie"])
    raw, _ = propose(write(frame.assign(prompt=sentences(), response=sentences(seed=1))))
    assert raw["data"]["text"] == ["prompt", "response"]
    assert raw["tasks"][0]["kind"] == "multiclass" and raw["tasks"][0]["columns"] == list(frame)


def test_six_scores_are_one_task(work_dir):
    names = ["cohesion", "syntax", "vocabulary", "phraseology", "grammar", "conventions"]
    scores = {name: choose(2, 2.5, 3, 3.5, 4, seed=n) for n, name in enumerate(names)}
    frame = pd.DataFrame(
        {"text_id": [f"e{n}" for n in ROW], "full_text": sentences(20, 30), **scores}
    )
    for siblings in (False, True):
        if siblings:
            write(frame[["text_id", "full_text"]].head(9), "test.csv")
            write(frame[["text_id", *names]].head(9), "sample_submission.csv")
        raw, _ = propose(write(frame))
        assert [(t["kind"], t["columns"]) for t in raw["tasks"]] == [("regression", names)]
        assert raw["data"]["id"] == "text_id"
        assert raw["data"].get("sample_submission") == (
            "sample_submission.csv" if siblings else None
        )


def test_a_pair_with_rows_that_have_no_gold_label(work_dir):
    labels = choose("entailment", "neutral", "contradiction", "entailment", "neutral", "-")
    numbers = [["entailment", "neutral", "contradiction", "-"].index(x) for x in labels]
    frame = pd.DataFrame({
        "hypothesis": sentences(seed=1), "label": [-1 if n == 3 else n for n in numbers],
        "premise": sentences(), "gold_label": labels,
    })  # fmt: skip
    raw, table = propose(write(frame))
    assert raw["data"]["text"] == ["premise", "hypothesis"]
    task = raw["tasks"][0]
    assert task["columns"] == ["gold_label"] and task["na_values"] == ["-"]
    assert task["classes"] == ["contradiction", "entailment", "neutral"]
    assert np.isnan(table.labels).sum() == labels.count("-")
    raw, table = propose(write(frame.drop(columns="gold_label")))
    assert raw["tasks"][0]["classes"] == ["0", "1", "2"] and raw["tasks"][0]["na_values"] == ["-1"]
    assert np.isnan(table.labels).sum() == labels.count("-")


def test_the_sample_submission_settles_the_target(work_dir):
    frame = make_tickets().rename(columns={"Ticket ID": "key"})
    write(frame[["key", "Subject", "Body"]].head(9), "test.csv")
    classes = {"Billing": 0.3, "IT": 0.3, "Sales": 0.4}
    write(frame[["key"]].head(9).assign(**classes), "sample_submission.csv")
    raw, _ = propose(write(frame))
    assert raw["tasks"][0]["columns"] == ["Queue"] and raw["data"]["id"] == "key"


def test_a_sample_submission_that_nothing_fills_is_a_comment(work_dir):
    frame = pd.DataFrame({"id": ROW, "text": sentences(), "label": choose("a", "b", "c")})
    write(frame[["id", "text"]].head(9), "test.csv")
    write(frame[["id"]].head(9).assign(start=0, end=0), "sample_submission.csv")
    raw, _ = propose(write(frame))
    assert raw["data"]["test"] == "test.csv" and "sample_submission" not in raw["data"]
    assert "# it asks for start, end, which no task here predicts" in Path("e.toml").read_text()


@pytest.mark.parametrize(("cell", "kind"), [("spam", "multiclass"), (0, "binary"), (0.5, "binary")])
def test_two_words_are_what_the_sample_submission_holds(work_dir, cell, kind):
    frame = pd.DataFrame({"id": ROW, "text": sentences(), "kind": choose("ham", "spam")})
    write(frame[["id", "text"]].head(9), "test.csv")
    write(frame[["id"]].head(9).assign(kind=cell), "sample_submission.csv")
    raw, _ = propose(write(frame))
    assert raw["tasks"][0]["kind"] == kind


@pytest.mark.parametrize(
    ("words", "positive"),
    [
        (("yes", "no"), None), (("TRUE", "FALSE"), None), (("pos", "neg"), None),
        (("spam", "ham"), "spam"), (("toxic", "not toxic"), "toxic"), (("OFF", "NOT"), "OFF"),
        (("normal", "strange"), "strange"), ((-1, 1), None),
    ],
)  # fmt: skip
def test_two_words_are_binary_where_one_is_positive(work_dir, words, positive):
    raw, table = propose(write(pd.DataFrame({"text": sentences(), "y": choose(*words)})))
    assert raw["tasks"][0]["kind"] == "binary" and raw["tasks"][0].get("positive") == positive
    assert set(table.labels[:, 0]) == {0.0, 1.0}


def test_two_texts_that_are_no_known_pair_are_asked_about(work_dir):
    frame = pd.DataFrame({
        "alpha": sentences(), "beta": sentences(seed=1), "label": choose(0, 1),
        "user_id": ROW, "row_id": ROW + 500,
    })  # fmt: skip
    path = write(frame)
    with pytest.raises(InputError, match=r"which column is the text\? 'alpha' .* both for a pair"):
        propose(path)
    with pytest.raises(InputError, match="which column is the id.*--id user_id or --id row_id"):
        propose(path, text=["beta"])
    raw, _ = propose(path, text=["beta", "alpha"], id="row_id")
    assert raw["data"]["text"] == ["beta", "alpha"] and raw["data"]["id"] == "row_id"
    assert propose(path, text=["alpha"], id="")[0]["data"]["id"] == ""
    with pytest.raises(InputError, match=r"no column 'gamma' \(--text\)"):
        propose(path, text=["gamma"])


def test_a_header_that_is_data_is_refused(work_dir):
    frame = pd.DataFrame({"label": choose("ham", "spam"), "text": sentences()})
    frame.to_csv("table.tsv", sep="\t", header=False, index=False)
    with pytest.raises(
        InputError, match="table.tsv: the first row looks like data, not like names"
    ):
        propose("table.tsv")


def test_names_that_torch_reserves_become_other_task_names(work_dir):
    raw, _ = propose(write(pd.DataFrame({"text": sentences(), "type": choose("a", "b", "c")})))
    assert raw["tasks"][0]["name"] == "type_task" and raw["tasks"][0]["columns"] == ["type"]
    raw, _ = propose(write(pd.DataFrame({"text": sentences(), "情感": choose("好", "坏", "中")})))
    assert raw["tasks"][0]["name"] == "main" and raw["tasks"][0]["columns"] == ["情感"]


def test_few_positives_have_as_few_folds(work_dir):
    rare = (np.isin(ROW, [3, 40, 77]) * 1).tolist()
    raw, _ = propose(write(pd.DataFrame({"text": sentences(), "label": rare})))
    assert raw["folds"] == {"n_splits": 3}


def test_long_texts_that_repeat_are_texts(work_dir):
    texts = [f"the answer number {i % 60} about the goose is the same as before" for i in ROW]
    frame = pd.DataFrame({"Ticket Description": texts, "label": choose("late", "lost", "broken")})
    raw, _ = propose(write(frame))
    assert raw["data"]["text"] == "Ticket Description"


def test_fractions_on_one_scale_are_one_task(work_dir):
    random = np.random.default_rng(1)
    scores = {name: np.round(random.uniform(1, 5, ROWS), 3) for name in "VAD"}
    raw, table = propose(write(pd.DataFrame({"text": sentences(), **scores})))
    task = {"name": "main", "kind": "regression", "columns": ["V", "A", "D"]}
    assert raw["tasks"] == [task] and table.labels.shape == (ROWS, 3)


def test_confidences_next_to_labels_are_no_labels(work_dir):
    labels = {name: choose(0, 0, 1, seed=n) for n, name in enumerate(["rude", "sly", "loud"])}
    confidences = {f"{name}:confidence": choose(0.6, 0.8, 1.0) for name in labels}
    sure = {"agreed": choose(0.7, 1.0)}
    path = write(pd.DataFrame({"text": sentences(), **labels, **confidences, **sure}))
    raw, _ = propose(path)
    assert [task["columns"] for task in raw["tasks"]] == [["rude", "sly", "loud"]]
    profile = propose_experiment(path, "e")[1]
    assert profile.unused["agreed"] == "all values are on the same side of 0.5"
    assert profile.unused["sly:confidence"] == "counts or names something"


def test_votes_next_to_a_class_are_a_possible_task(work_dir):
    votes = np.random.default_rng(3).multinomial(5, [0.3, 0.3, 0.4], ROWS)
    names = ["calm", "rude", "hateful"]
    frame = pd.DataFrame({"tweet": sentences(), "count": 5, "class": votes.argmax(axis=1)})
    frame[names] = votes
    frame.loc[0, [*names, "count"]] = [6, 0, 0, 6]
    raw, _ = propose(write(frame))
    assert [task["name"] for task in raw["tasks"]] == ["class"]
    (votes_task,) = propose_experiment("table.csv", "e")[1].others
    assert (votes_task.kind, votes_task.column_names) == ("multiclass", names)
    raw, _ = propose("table.csv", main=names)
    assert (raw["tasks"][0]["kind"], raw["tasks"][0]["columns"]) == ("multiclass", names)


def test_encoding_and_separator_can_be_named(work_dir):
    frame = pd.DataFrame({"text": sentences(), "label": choose("да", "нет", "может")})
    path = write(frame, encoding="cp1251", sep="~")
    text, _ = propose_experiment(path, "e", encoding="cp1251", separator="~")
    raw = tomllib.loads(text)
    assert raw["data"]["encoding"] == "cp1251" and raw["data"]["separator"] == "~"
    assert raw["tasks"][0]["classes"] == ["да", "может", "нет"]
