"""A proposed experiment: every column in its role, and a file that runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import load_experiment
from auxfold.data.learned_tags import learn_tags
from auxfold.datasets.sample import build_sample, write_sample
from auxfold.errors import InputError
from auxfold.quickstart.profile import Requests
from auxfold.quickstart.proposal import propose_experiment, suggest_name
from auxfold.training.split import load_training_table
from commands import refusal_of, run_command
from conftest import WORDS

ROWS = 120


def random_sentences(rows: int = ROWS, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(4, 12))) for _ in range(rows)]


def propose_and_load(frame: pd.DataFrame, folder, requests=None, **siblings: pd.DataFrame):
    """The experiment that is proposed for a table, written and read again; its rows are usable."""
    for name, sibling in siblings.items():
        sibling.to_csv(folder / f"{name}.csv", index=False)
    frame.to_csv(folder / "train.csv", index=False)
    text, profile = propose_experiment(str(folder / "train.csv"), "e", requests=requests)
    (folder / "e.toml").write_text(text)
    experiment = load_experiment(folder / "e.toml")
    load_training_table(learn_tags(experiment))
    return experiment, profile


def test_binary_soft_and_partly_labeled_columns(tmp_path):
    random = np.random.default_rng(1)
    flag = (np.arange(ROWS) % 3 == 0) * 1
    frame = pd.DataFrame({
        "key_id": [f"k{i}" for i in range(ROWS)],
        "comment": random_sentences(),
        "obscene": flag,
        "toxic": np.where(flag, 0.75, 0.25),
        "male": np.where(random.random(ROWS) < 0.6, np.nan, flag),
        "mood_a": flag, "mood_b": 1 - flag, "mood_c": flag,
        "votes": random.integers(0, 90, ROWS),
        "page_id": [f"p{i % 7}" for i in range(ROWS)],
        "same": 1,
    })  # fmt: skip
    experiment, profile = propose_and_load(frame, tmp_path)
    assert experiment.data.id == "key_id" and experiment.data.text == "comment"
    tasks = {task.name: task.columns for task in experiment.tasks}
    assert tasks == {
        "toxic": ["toxic"], "labels": ["obscene"], "partly_labeled": ["male"],
        "mood": ["mood_a", "mood_b", "mood_c"],
    }  # fmt: skip
    assert experiment.main_task.name == "toxic" and experiment.tasks[1].weight == 0.5
    assert profile.repeated == ["page_id"] and set(profile.unused) == {"votes", "same"}
    text = (tmp_path / "e.toml").read_text()
    assert '# group = "page_id"' in text and "33.3% at 0.5 or more, soft" in text
    other_main, _ = propose_and_load(frame, tmp_path, Requests(main=["obscene"]))
    assert other_main.main_task.columns == ["obscene"]


def test_columns_of_the_test_file_are_no_labels(tmp_path):
    frame = pd.DataFrame({
        "id": range(ROWS), "text": random_sentences(), "useful": np.arange(ROWS) % 2,
        "verified": np.arange(ROWS) % 2,
    })  # fmt: skip
    test = frame[["id", "text", "verified"]].assign(id=lambda f: f["id"] + 1000)
    sample = pd.DataFrame({"id": test["id"], "useful": 0.5})
    experiment, profile = propose_and_load(frame, tmp_path, test=test, sample_submission=sample)
    assert [task.columns for task in experiment.tasks] == [["useful"]]
    assert profile.unused == {"verified": "is in the test file as well"}
    assert experiment.data.test.endswith("test.csv")
    assert experiment.data.sample_submission.endswith("sample_submission.csv")


def test_a_test_file_with_labels_scores_the_ensemble(tmp_path):
    frame = pd.DataFrame({
        "id": range(ROWS), "text": random_sentences(), "useful": np.arange(ROWS) % 2,
    })  # fmt: skip
    experiment, _ = propose_and_load(frame, tmp_path, test=frame.assign(id=frame["id"] + 1000))
    assert experiment.data.test_labels == experiment.data.test


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (["calm", "rude", "angry"], "multiclass", ["angry", "calm", "rude"]),
        ([10, 2, 1], "multiclass", ["1", "2", "10"]),
        (["True", "False"], "binary", None),
        ([0.5, 2.25, 4.75], "regression", None),
        ([-1, 0, 1], "multiclass", ["-1", "0", "1"]),
    ],
)
def test_kinds_of_a_label(tmp_path, cells, kind, classes):
    label = [cells[i % len(cells)] for i in range(ROWS)]
    frame = pd.DataFrame(
        {"question1": random_sentences(), "question2": random_sentences(seed=1), "y": label}
    )
    experiment, _ = propose_and_load(frame, tmp_path)
    assert experiment.data.text == ["question1", "question2"] and experiment.data.id == ""
    assert experiment.main_task.kind == kind and experiment.selection.metric is None
    if classes:
        assert experiment.main_task.class_names == classes


def test_rare_classes_are_selected_by_f1(tmp_path):
    label = ["rare" if i % 10 == 0 else "frequent" for i in range(ROWS)]
    experiment, _ = propose_and_load(
        pd.DataFrame({"text": random_sentences(), "y": label}), tmp_path
    )
    assert experiment.selection.metric == "y/f1"


def test_stars_are_numbers_in_an_order_and_other_kinds_are_offered(tmp_path):
    frame = pd.DataFrame({
        "review": random_sentences(), "stars": np.arange(ROWS) % 5 + 1,
        "genre": ["a", "b"] * (ROWS // 2),
    })  # fmt: skip
    experiment, profile = propose_and_load(frame, tmp_path)
    assert [task.kind for task in experiment.tasks] == ["ordinal"]
    assert [group.name for group in profile.others] == ["genre"]
    # Without the comment marks, the text is the offered task.
    text = (tmp_path / "e.toml").read_text()
    offered = text.index("# This could be an auxiliary task:")
    end = text.index("\n\n", offered)
    uncommented = "\n".join(line.removeprefix("# ") for line in text[offered:end].splitlines()[1:])
    (tmp_path / "e.toml").write_text(text[:offered] + uncommented + text[end:])
    assert [task.kind for task in load_experiment(tmp_path / "e.toml").tasks] == [
        "ordinal", "multiclass",
    ]  # fmt: skip


def test_what_cannot_be_proposed_says_why(tmp_path):
    frame = pd.DataFrame({"id": range(ROWS), "text": random_sentences()})
    with pytest.raises(InputError, match="no column looks like a label; text: the text; id: th"):
        propose_and_load(frame, tmp_path)
    with pytest.raises(InputError, match="no column holds texts; id: numbers; y: numbers; name"):
        propose_and_load(pd.DataFrame({"id": range(ROWS), "y": [0, 1] * 60}), tmp_path)
    frame["y"] = [0, 1] * 60
    with pytest.raises(InputError, match="--main 'z' is no column .*; those are y"):
        propose_and_load(frame, tmp_path, Requests(main=["z"]))


def test_names_come_from_the_file_or_its_folder(tmp_path):
    assert suggest_name("input/my reviews.csv.gz") == "my_reviews"
    assert suggest_name(str(tmp_path / "hate-explain" / "train.parquet")) == "hate-explain"


def test_the_proposal_for_the_sample_runs(work_dir, backbone):
    write_sample(work_dir / "input/sample", build_sample(rows=400, test_rows=30, seed=3))
    output = run_command(
        "new_experiment", "input/sample/train.csv", "--name", "first", cwd=work_dir
    )
    assert "target " in output and "main, binary" in output and "article_id" in output
    experiment = load_experiment("configs/first.toml")
    assert experiment.data.sample_submission == "input/sample/sample_submission.csv"
    assert experiment.main_task.columns == ["target"]
    changes = (f"model.backbone={backbone}", "model.max_length=24", "folds.n_splits=2")
    tiny = ["--config", "configs/first.toml", "--rows", "200"]
    tiny += [part for change in (*changes, "train.epochs=1") for part in ("--set", change)]
    run_command("make_folds", *tiny, cwd=work_dir)
    run_command("train", *tiny, "--fold", "all", cwd=work_dir)
    run_command("inference", *tiny, cwd=work_dir)
    assert "test rows, target/auc: ensemble" in run_command("evaluate", *tiny, cwd=work_dir)
    output = refusal_of("new_experiment", "input/sample/train.csv", "--name", "first", cwd=work_dir)
    assert "configs/first.toml exists; give --overwrite" in output


def test_a_proposal_that_cannot_run_is_not_written(work_dir):
    frame = pd.DataFrame(
        {"id": ["x"] * 2 + [""] * 58, "text": random_sentences(60), "y": [0, 1] * 30}
    )
    frame.to_csv("odd.csv", index=False)
    run_command("new_experiment", "odd.csv", cwd=work_dir)  # no column is an id: rows are numbered
    output = refusal_of("new_experiment", "odd.csv", "--name", "a b", cwd=work_dir)
    assert "name = 'a b'" in output
    assert sorted(p.name for p in (work_dir / "configs").iterdir()) == ["odd.toml"]
