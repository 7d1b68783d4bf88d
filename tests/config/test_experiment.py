"""The experiment file: typed, explained, overridden, and written back as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auxfold.config.experiment import experiment_from_dict, load_experiment, to_toml
from auxfold.errors import InputError
from conftest import make_experiment

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
BASE = {"name": "e", "data": {"train": "t.csv"},
        "tasks": [{"name": "main", "kind": "binary", "columns": ["a"]}]}  # fmt: skip


def changed(**sections) -> dict:
    return {**BASE, **sections}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_shipped_experiments_load_and_are_named_as_their_files(path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert all(source.path.startswith("input/") for source in experiment.data.sources)
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


PLAIN = st.text(st.characters(codec="utf-8"), min_size=1)


@settings(max_examples=60, deadline=None)
@given(
    paths=st.lists(PLAIN, min_size=1, max_size=3),
    rename=st.dictionaries(PLAIN, PLAIN, max_size=3),
    named=st.booleans(),
)
def test_sources_written_back_are_read_as_they_were(paths, rename, named):
    rename = dict(zip(rename, dict.fromkeys(rename.values()), strict=False))  # no name twice
    several = len(paths) > 1 or named
    train = [
        {"path": path, "rename": rename} | ({"name": f"s{number}"} if several else {})
        for number, path in enumerate(paths)
    ]
    experiment = make_experiment("", "b", data={"train": train})
    again = experiment_from_dict(tomllib.loads(to_toml(experiment)), "again")
    assert again == experiment and again.fingerprint() == experiment.fingerprint()


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["input/quora/train.tsv", "input/spaadia/train.csv"], ["quora", "spaadia"]),
        (["input/own/a.csv.gz", "input/own/b.csv"], ["a", "b"]),
        (["a.csv", "input/own/b.csv"], ["a", "b"]),
        (["input/own/a.csv"], ["own"]),
    ],
)
def test_sources_are_called_by_what_tells_them_apart(paths, names):
    assert make_experiment("", "b", data={"train": paths}).data.source_names == names


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        (["x/a.csv", "x/a.tsv"], "two sources of data.train are called 'a'; give each a name"),
        (["x/a b.csv", "x/c.csv"], "a source of data.train needs a name; 'a b' cannot be one"),
        ([{"path": "t", "renam": {}}], "unknown key 'data.train.0.renam' .did you mean 'rename'"),
        ([{"path": "t", "rename": {"a": 1}}], "data.train.0.rename.a = 1: .*string"),
        ([{"path": "t", "rename": {"a": "c", "b": "c"}}], "data.train.0: rename gives two columns"),
        ([{"path": "t", "name": "a/b"}], "data.train.0.name = 'a/b'"),
        ([{"name": "a"}], "'data.train.0.path' is missing"),
        ([], "data.train = .*at least 1"),
        ({"path": "t"}, "data.train: .*array"),
        (3, "data.train = 3: .*string"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(train, expected):
    with pytest.raises(InputError, match=expected):
        make_experiment("", "b", data={"train": train})


@pytest.mark.parametrize("setting", [{"batches": "homogeneous"}, {"sampling": "uniform"}])
def test_sampling_is_for_several_sources(setting):
    with pytest.raises(InputError, match=f"train.{next(iter(setting))} = .* is for several"):
        make_experiment("t.csv", "b", train=setting)
    make_experiment("", "b", data={"train": ["a.csv", "b.csv"]}, train=setting)


def test_a_source_is_overridden_by_number_or_name(tmp_path):
    path = tmp_path / "e.toml"
    train = [{"path": "a/t.csv"}, {"path": "b/t.csv", "name": "old"}]
    path.write_text(to_toml(make_experiment("", "b", data={"train": train})))
    made = load_experiment(path, ["data.train.0.path=c.csv", "data.train.old.rename={x = 'y'}"])
    assert [source.path for source in made.data.sources] == ["c.csv", "b/t.csv"]
    assert made.data.sources[1].rename == {"x": "y"}
    assert load_experiment(path, ["data.train=one.csv"]).data.train == "one.csv"
    assert len(load_experiment(path, ["data.train=['a.csv', 'b.csv']"]).data.sources) == 2
    with pytest.raises(InputError, match="there is no '2' to set"):
        load_experiment(path, ["data.train.2.path=c.csv"])


def test_names_and_renames_count_in_the_fingerprint_paths_do_not():
    def made(*train):
        return make_experiment("", "b", data={"train": list(train)}).fingerprint()

    one, two = {"path": "a.csv", "name": "a"}, {"path": "b.csv", "name": "b"}
    assert made({**one, "path": "else.csv"}, two) == made(one, two)
    assert made({**one, "name": "c"}, two) != made(one, two)
    assert made({**one, "rename": {"x": "toxic"}}, two) != made(one, two)
    assert make_experiment("x", "b").fingerprint() == make_experiment("y", "b").fingerprint()


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
        (changed(model={"pooling": "max"}), "model.pooling = 'max': .*'mean', 'cls', 'atten"),
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
            changed(tasks=[{**BASE["tasks"][0], "label_weights": [1.0, 2.0]}]),
            "label_weights has 2 numbers for 1 columns",
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
    identities = make_experiment("t", "b", identities={"columns": ["male"]})
    assert identities.fingerprint() != one.fingerprint()
    assert make_experiment("t", "b", identities={"columns": []}).fingerprint() == one.fingerprint()
