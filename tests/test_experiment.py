"""The experiment file: typed, explained, overridden, and written back as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auxfold.errors import InputError
from auxfold.experiment import experiment_from_dict, load_experiment, to_toml
from conftest import make_experiment

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.toml"))
BASE = {"name": "e", "data": {"train": "t.csv"},
        "tasks": [{"name": "main", "kind": "binary", "columns": ["a"]}]}  # fmt: skip


def changed(**sections) -> dict:
    return {**BASE, **sections}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_shipped_experiments_load_and_are_named_as_their_files(path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert experiment.data.train.startswith("input/")
    again = experiment_from_dict(tomllib.loads(to_toml(experiment)), "again")
    assert again == experiment and again.fingerprint() == experiment.fingerprint()


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
ADAPTERS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["lora", "dora"])},
        optional={"rank": st.integers(1, 99), "alpha": st.floats(1e-3, 1e3),
                  "target_modules": st.lists(TEXTS)},
    ),
    st.fixed_dictionaries({"kind": st.just("ia3")}, optional={"target_modules": st.lists(TEXTS)}),
    st.fixed_dictionaries({"kind": st.just("prefix")}, optional={"prefix_length": st.just(3)}),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["pfeiffer", "houlsby"])},
        optional={"reduction_factor": st.integers(1, 99), "activation": st.just("gelu")},
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, rate=st.floats(1e-9, 1e3), adapter=ADAPTERS)
def test_written_back_any_value_is_read_as_it_was(text, rate, adapter):
    experiment = make_experiment(
        text, text, data={"train": text, "text": [text, "b"]}, train={"learning_rate": rate},
        model={"adapter": adapter},
    )  # fmt: skip
    again = experiment_from_dict(tomllib.loads(to_toml(experiment)), "again")
    assert again == experiment and again.fingerprint() == experiment.fingerprint()


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("train.epochs=7", lambda e: e.train.epochs == 7),
        ("train.learning_rate=1", lambda e: e.train.learning_rate == 1.0),
        ("tasks.main.weight=0.5", lambda e: e.tasks[0].weight == 0.5),
        ("tasks.0.columns=['x', 'y']", lambda e: e.tasks[0].columns == ["x", "y"]),
        ("model.backbone=microsoft/deberta-v3-base", lambda e: "deberta" in e.model.backbone),
        ("folds.group_duplicates=false", lambda e: e.folds.group_duplicates is False),
        ("model.adapter.kind=lora", lambda e: e.model.adapter.rank == 8),
        ("model.adapter.kind=houlsby", lambda e: e.model.adapter.reduction_factor == 16),
        ("name=other", lambda e: e.name == "other"),
        ("data.test = a = b.csv", lambda e: e.data.test == "a = b.csv"),
    ],
)
def test_overrides_are_typed_by_the_schema(tmp_path, override, read):
    path = tmp_path / "e.toml"
    path.write_text(to_toml(experiment_from_dict(BASE, "base")))
    assert read(load_experiment(path, [override]))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (changed(trian={}), "unknown key 'trian' .did you mean 'train'"),
        (changed(train={"batchsize": 3}), "unknown key 'train.batchsize' .did you mean 'batch_"),
        (changed(train={"epochs": 1.5}), "train.epochs = 1.5: .*integer"),
        (changed(train={"epochs": True}), "train.epochs = True: .*integer"),
        (changed(train={"epochs": 0}), "train.epochs = 0: .*greater than or equal to 1"),
        (changed(model={"max_length": "220"}), "model.max_length = '220': .*integer"),
        (changed(model={"pooling": "max"}), "model.pooling = 'max': .*'mean', 'cls' or 'atten"),
        (changed(name="../elsewhere"), "name = '../elsewhere'"),
        (changed(data={"train": "t", "text": ["a", "b", "c"]}), "one column name or a list of two"),
        ({"name": "e", "tasks": BASE["tasks"]}, "'data' is missing"),
        (changed(tasks=[]), "tasks = "),
        (
            changed(tasks=[{**BASE["tasks"][0], "kind": "multiclass", "classes": 3, "wieght": 1}]),
            "unknown key 'tasks.0.wieght' .did you mean 'weight'",
        ),
        (changed(tasks=[{"name": "x", "columns": ["a"]}]), "tasks.0: 'kind' is missing; one of bi"),
        (changed(model={"adapter": {"rank": 4}}), "model.adapter: 'kind' is missing; one of lora"),
        (
            changed(model={"adapter": {"kind": "lara"}}),
            "model.adapter.kind = 'lara' .did you mean 'lora'.*; one of lora, dora, ia3, prefix, p",
        ),
        (
            changed(model={"adapter": {"kind": "ia3", "rank": 4}}),
            "unknown key 'model.adapter.rank'",
        ),
        (
            changed(model={"adapter": {"kind": "houlsby", "reduction": 4}}),
            "unknown key 'model.adapter.reduction' .did you mean 'reduction_factor'",
        ),
        (
            changed(model={"adapter": {"kind": "lora", "rank": 0}}),
            "model.adapter.rank = 0: .*greater than or equal to 1",
        ),
        (changed(model={"adapter": "lora"}), "model.adapter = 'lora'"),
        (changed(tasks=[{**BASE["tasks"][0], "kind": "binray"}]), "kind = 'binray'"),
        (changed(tasks=[*BASE["tasks"], {**BASE["tasks"][0], "columns": ["b"]}]), "the same name"),
        (changed(tasks=[*BASE["tasks"], {**BASE["tasks"][0], "name": "x"}]), "'a' is predicted by"),
        (
            changed(tasks=[*BASE["tasks"], {"name": "x", "kind": "binary", "columns": ["b"]}]),
            "exactly one task needs main = true, found 0",
        ),
        (
            changed(tasks=[{**BASE["tasks"][0], "column_weights": [1.0, 2.0]}]),
            "column_weights has 2 numbers for 1 columns",
        ),
    ],
)
def test_what_is_wrong_is_named(raw, expected):
    with pytest.raises(InputError, match=expected):
        experiment_from_dict(raw, "e.toml")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs", "takes KEY=VALUE"),
        ("tasks.nobody.weight=1", "no 'nobody'"),
        ("name.first=1", "name"),
        ("train.epoch=1", "unknown key 'train.epoch' .did you mean 'epochs'"),
    ],
)
def test_wrong_overrides_are_refused(tmp_path, override, expected):
    path = tmp_path / "e.toml"
    path.write_text(to_toml(experiment_from_dict(BASE, "base")))
    with pytest.raises(InputError, match=expected):
        load_experiment(path, [override])


def test_a_missing_or_broken_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="no experiment file .*none.toml"):
        load_experiment(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("name = \n")
    with pytest.raises(InputError, match="is not valid TOML"):
        load_experiment(tmp_path / "broken.toml")


def test_the_fingerprint_is_what_a_model_depends_on():
    one = make_experiment("t", "b")
    assert (
        make_experiment("t", "b", tracking={"wandb": "online"}).fingerprint() == one.fingerprint()
    )
    assert make_experiment("t", "b", seed=1).fingerprint() != one.fingerprint()
    assert make_experiment("t", "b", train={"epochs": 9}).fingerprint() != one.fingerprint()
