"""A template with several columns goes from the files to a submission and into a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

import auxfold
from auxfold.cli import inference
from auxfold.config.experiment import Experiment, to_toml
from auxfold.errors import InputError
from auxfold.kaggle import kernel, workers
from auxfold.tasks import TaskSet
from auxfold.training.dry_run import plan_fold
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds, load_training_table
from chat_templates import write_chat_tokenizer
from commands import call_main
from conftest import TINY_CONFIG, make_experiment, make_frame

RULES = ["no goose", "bread is bad", ""]
TEMPLATE = "Rule: {rule}, {votes} votes\nComment: {text}\nDoes it break the rule?"
COMPETITION = "tiny-rules"


def write_files(rows: int = 48) -> None:
    """``train.csv``, ``test.csv`` and ``sample_submission.csv`` of a competition with rules."""
    folder = Path("input") / COMPETITION
    folder.mkdir(parents=True)
    frame = make_frame(rows + 12)
    frame["rule"] = [RULES[n % 3] for n in range(len(frame))]
    frame["votes"] = [n % 5 if n % 4 else "" for n in range(len(frame))]
    frame[:rows].to_csv(folder / "train.csv", index=False)
    frame[rows:][["id", "votes", "rule", "text"]].to_csv(folder / "test.csv", index=False)
    sample = pd.DataFrame({"id": frame[rows:]["id"], "toxic": 0.5})
    sample.to_csv(folder / "sample_submission.csv", index=False)


def make_rules_experiment(backbone: str, **data: object) -> Experiment:
    files = {key: f"input/{COMPETITION}/{key}.csv" for key in ("train", "test")}
    files["sample_submission"] = f"input/{COMPETITION}/sample_submission.csv"
    model = {"backbone": backbone, "max_length": 24}
    return make_experiment("", backbone, data={**files, **data}, model=model)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, backbone) -> Path:
    """Two trained folds, their submission, and their bundle."""
    folder = tmp_path_factory.mktemp("templates")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_files()
        experiment = make_rules_experiment(backbone, template=TEMPLATE, fields={"rule": 2})
        Path("e.toml").write_text(to_toml(experiment))
        create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
        inference.main(["--config", "e.toml"])
    return folder


@pytest.fixture
def work_dir(trained, monkeypatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def test_a_table_is_predicted_as_the_file(work_dir):
    submission = pd.read_csv("outputs/tiny/submission.csv")
    model = auxfold.load("outputs/tiny")
    table = pd.read_csv(f"input/{COMPETITION}/test.csv")
    assert submission["id"].tolist() == table["id"].tolist()
    predictions = model.predict(table)
    np.testing.assert_allclose(predictions["toxic"], submission["toxic"], atol=1e-6)
    columns = table[["rule", "votes", "text"]]
    records = columns.astype(object).where(columns.notna(), None)
    as_dictionaries = model.predict(records.to_dict("records"))
    np.testing.assert_allclose(as_dictionaries["toxic"], submission["toxic"], atol=1e-6)
    other = model.predict(table.assign(rule="goose goose"))
    assert np.abs(other["toxic"] - predictions["toxic"]).max() > 1e-4, "the rule is read"
    longer = model.predict(table.assign(rule=table["rule"].fillna("") + " rain"))
    is_truncated = table["rule"].notna().to_numpy()
    np.testing.assert_allclose(
        longer["toxic"][is_truncated], predictions["toxic"][is_truncated], atol=1e-6
    )  # its number of tokens is 2
    assert np.abs(longer["toxic"] - predictions["toxic"])[~is_truncated].max() > 1e-6


def test_a_row_of_the_command_line_has_a_text_per_column(work_dir, capsys):
    inference.main(["--config", "e.toml", "--text", "no goose", "3", "silly goose"])
    printed = capsys.readouterr().out
    model = auxfold.load("outputs/tiny")
    expected = model.predict([("no goose", "3", "silly goose")])["toxic"][0]
    assert f"{expected:.6f}".rstrip("0") in printed and "no goose | 3 | silly goose" in printed
    with pytest.raises(InputError, match='--text takes 3 quoted texts ."rule" "votes" "text".;'):
        inference.main(["--config", "e.toml", "--text", "silly goose"])


def test_a_bundle_predicts_the_same(work_dir, monkeypatch):
    monkeypatch.setattr(
        workers, "_run_process", lambda *args: int(not workers.predict_shard(*args))
    )
    call_main("bundle_kaggle", "--config", "e.toml", "--owner", "ada")
    bundle = Path("outputs/tiny/kaggle/dataset")
    root = Path("input") / COMPETITION
    test, sample = root / "test.csv", root / "sample_submission.csv"
    frame, folds = kernel.predict(bundle, test, sample, hours=1, devices=["cpu"])
    assert len(folds) == 2
    submission = pd.read_csv("outputs/tiny/submission.csv").set_index("id")["toxic"]
    predicted = frame.set_index("id")["toxic"]
    np.testing.assert_allclose(predicted.loc[submission.index], submission, atol=2e-3)


def test_rows_are_equal_where_all_columns_are(work_dir, backbone):
    frame = pd.read_csv(f"input/{COMPETITION}/train.csv", dtype=str).fillna("")
    copies = frame[:8].assign(id=lambda rows: "copy" + rows["id"], text=frame["text"].str.upper())
    others = frame[:8].assign(id=lambda rows: "other" + rows["id"], rule="a rule")
    pd.concat([frame, copies, others]).to_csv("copies.csv", index=False)
    experiment = make_rules_experiment(backbone, train="copies.csv", template=TEMPLATE)
    experiment = experiment.model_copy(update={"name": "copies"})
    table, folds = create_folds(experiment)
    fold_of = dict(zip(table.ids, folds, strict=True))
    originals = frame["id"][:8]
    assert all(fold_of[row] == fold_of[f"copy{row}"] for row in originals)
    assert any(fold_of[row] != fold_of[f"other{row}"] for row in originals)
    assert [len(column) for column in table.texts] == [64] * 3


def test_a_source_without_a_column_has_empty_texts_there(work_dir, backbone):
    make_frame(20, seed=3).rename(columns={"text": "words"}).to_csv("old.csv", index=False)
    sources = [
        {"path": f"input/{COMPETITION}/train.csv", "name": "rules"},
        {"path": "old.csv", "name": "old", "rename": {"words": "text"}},
    ]
    experiment = make_rules_experiment(backbone, train=sources, template=TEMPLATE)
    table = load_training_table(experiment, TaskSet.from_experiment(experiment))
    assert len(table) == 68 and {*table.texts[0][48:]} == {""} and table.texts[2][48] != ""
    del sources[1]["rename"]
    experiment = make_rules_experiment(backbone, train=sources, template=TEMPLATE)
    with pytest.raises(InputError, match="old.csv has none of the columns of data.template"):
        load_training_table(experiment, TaskSet.from_experiment(experiment))
    experiment = make_rules_experiment(backbone, template="{rul} {text}")
    with pytest.raises(InputError, match="no column 'rul' .did you mean 'rule'"):
        load_training_table(experiment, TaskSet.from_experiment(experiment))


def make_instruct_model(folder: Path) -> str:
    """A tiny random Qwen with a chat template."""
    write_chat_tokenizer("qwen", folder)
    torch.manual_seed(0)
    sizes = {**TINY_CONFIG, "max_position_embeddings": 256, "num_key_value_heads": 1}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.for_model("qwen2", **{**sizes, "vocab_size": len(tokenizer)})
    AutoModel.from_config(config).save_pretrained(folder)
    return str(folder)


def test_an_instruct_model_is_asked_in_its_own_form(work_dir, tmp_path):
    folder = make_instruct_model(tmp_path / "instruct")
    data = {"template": "chat", "system": "Rule: {rule}", "user": "{text}", "fields": {"rule": 4}}
    experiment = make_rules_experiment(folder, **data)
    model = experiment.model.model_copy(update={"max_length": 96})
    experiment = experiment.model_copy(update={"name": "chat", "model": model})
    create_folds(experiment)
    assert "tokens on average" in "\n".join(plan_fold(experiment, 0))
    run = train_fold(experiment, 0)
    assert json.loads(run.metrics.read_text())["main/auc"] is not None
    loaded = auxfold.load(str(run.path))
    dataset_ids = []
    forward = type(loaded.models[0][0]).forward

    def record(self, *args, **kwargs):
        dataset_ids.append(kwargs["input_ids"][0].tolist())
        return forward(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(loaded.models[0][0]), "forward", record)
        loaded.predict([{"rule": "no goose", "text": "silly goose"}])
    tokenizer = AutoTokenizer.from_pretrained(run.path)
    asked = tokenizer.decode(dataset_ids[0])
    assert asked.endswith("silly goose<|im_end|>\n<|im_start|>assistant\n")
    assert asked.startswith("<|im_start|>system\nRule: no")
