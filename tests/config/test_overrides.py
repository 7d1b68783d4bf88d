"""``--set key.path=value`` is typed by the schema; what cannot be set is refused."""

from __future__ import annotations

import pytest

from auxfold.config.experiment import experiment_from_dict, load_experiment, to_toml
from auxfold.errors import InputError
from conftest import make_experiment

BASE = {"name": "e", "data": {"train": "t.csv"},
        "tasks": [{"name": "main", "kind": "binary", "columns": ["a"]}]}  # fmt: skip


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


def test_a_source_is_overridden_by_number_or_name(tmp_path):
    path = tmp_path / "e.toml"
    train = [{"path": "a/t.csv"}, {"path": "b/t.csv", "name": "old"}]
    path.write_text(to_toml(make_experiment("", "b", data={"train": train})))
    experiment = load_experiment(
        path, ["data.train.0.path=c.csv", "data.train.old.rename={x = 'y'}"]
    )
    assert [source.path for source in experiment.data.sources] == ["c.csv", "b/t.csv"]
    assert experiment.data.sources[1].rename == {"x": "y"}
    assert load_experiment(path, ["data.train=one.csv"]).data.train == "one.csv"
    assert len(load_experiment(path, ["data.train=['a.csv', 'b.csv']"]).data.sources) == 2
    with pytest.raises(InputError, match="there is no '2' to set"):
        load_experiment(path, ["data.train.2.path=c.csv"])
