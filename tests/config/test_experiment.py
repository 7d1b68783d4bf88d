"""The experiment file: its sections are checked, and it is written back as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from auxfold.config.experiment import experiment_from_dict, load_experiment, to_toml
from auxfold.errors import InputError
from conftest import make_experiment

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))
BASE = {"name": "e", "data": {"train": "t.csv"},
        "tasks": [{"name": "main", "kind": "binary", "columns": ["a"]}]}  # fmt: skip


def base_with(**sections) -> dict:
    return {**BASE, **sections}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_shipped_experiments_load_and_are_named_as_their_files(path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert path.read_text().startswith("#:schema ./experiment.schema.json\n")
    assert all(source.path.startswith("input/") for source in experiment.data.sources)
    again = experiment_from_dict(tomllib.loads(to_toml(experiment)), "again")
    assert again == experiment and again.fingerprint() == experiment.fingerprint()


def test_the_shipped_sweep_varies_keys_of_the_experiment_that_it_trains():
    sweep = yaml.safe_load((ROOT / "configs/sweep.yaml").read_text())
    parameters = sweep["parameters"]
    overrides = [
        f"train.{key}={parameter.get('values', [parameter.get('min')])[0]}"
        for key, parameter in parameters["train"]["parameters"].items()
    ]
    weights = parameters["tasks"]["parameters"]["subtypes"]["parameters"]["weight"]["values"]
    overrides.append(f"tasks.subtypes.weight={weights[0]}")
    assert sweep["command"][2:] == ["${program}", "--config", "configs/sample.toml"]
    assert (ROOT / sweep["program"]).is_file()
    load_experiment(ROOT / sweep["command"][-1], overrides)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (base_with(trian={}), "unknown key 'trian' .did you mean 'train'"),
        (base_with(train={"batchsize": 3}), "unknown key 'train.batchsize' .did you mean 'batch_"),
        (base_with(train={"epochs": 1.5}), "train.epochs = 1.5: .*integer"),
        (base_with(train={"epochs": True}), "train.epochs = True: .*integer"),
        (base_with(train={"epochs": 0}), "train.epochs = 0: .*greater than or equal to 1"),
        (base_with(model={"max_length": "220"}), "model.max_length = '220': .*integer"),
        (
            base_with(model={"pooling": "max"}),
            "model.pooling = 'max': .*'mean', 'cls', 'last', ",
        ),
        (base_with(name="../elsewhere"), "name = '../elsewhere'"),
        (
            base_with(data={"train": "t", "text": ["a", "b", "c"]}),
            "one column name or a list of two",
        ),
        ({"name": "e", "tasks": BASE["tasks"]}, "'data' is missing"),
        (base_with(tasks=[]), "tasks = "),
        (
            base_with(
                tasks=[{**BASE["tasks"][0], "kind": "multiclass", "classes": 3, "wieght": 1}]
            ),
            "unknown key 'tasks.0.wieght' .did you mean 'weight'",
        ),
        (
            base_with(tasks=[{"name": "x", "columns": ["a"]}]),
            "tasks.0: 'kind' is missing; one of bi",
        ),
        (
            base_with(model={"adapter": {"rank": 4}}),
            "model.adapter: 'kind' is missing; one of lora",
        ),
        (
            base_with(model={"adapter": {"kind": "lara"}}),
            "model.adapter.kind = 'lara' .did you mean 'lora'.*; one of lora, dora, ia3, prefix, p",
        ),
        (
            base_with(model={"adapter": {"kind": "ia3", "rank": 4}}),
            "unknown key 'model.adapter.rank'",
        ),
        (
            base_with(model={"adapter": {"kind": "houlsby", "reduction": 4}}),
            "unknown key 'model.adapter.reduction' .did you mean 'reduction_factor'",
        ),
        (
            base_with(model={"adapter": {"kind": "lora", "rank": 0}}),
            "model.adapter.rank = 0: .*greater than or equal to 1",
        ),
        (base_with(model={"adapter": "lora"}), "model.adapter = 'lora'"),
        (base_with(tasks=[{**BASE["tasks"][0], "kind": "binray"}]), "kind = 'binray'"),
        (
            base_with(tasks=[*BASE["tasks"], {**BASE["tasks"][0], "columns": ["b"]}]),
            "the same name",
        ),
        (
            base_with(tasks=[*BASE["tasks"], {**BASE["tasks"][0], "name": "x"}]),
            "'a' is predicted by",
        ),
        (
            base_with(tasks=[*BASE["tasks"], {"name": "x", "kind": "binary", "columns": ["b"]}]),
            "exactly one task needs main = true, found 0",
        ),
        (
            base_with(tasks=[{**BASE["tasks"][0], "label_weights": [1.0, 2.0]}]),
            "label_weights has 2 numbers for 1 columns",
        ),
    ],
)
def test_what_is_wrong_is_named(raw, expected):
    with pytest.raises(InputError, match=expected):
        experiment_from_dict(raw, "e.toml")


def test_a_missing_or_broken_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="no experiment file .*none.toml"):
        load_experiment(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("name = \n")
    with pytest.raises(InputError, match="is not valid TOML"):
        load_experiment(tmp_path / "broken.toml")


def test_names_and_renames_count_in_the_fingerprint_paths_do_not():
    def fingerprint(*train):
        return make_experiment("", "b", data={"train": list(train)}).fingerprint()

    first, second = {"path": "a.csv", "name": "a"}, {"path": "b.csv", "name": "b"}
    assert fingerprint({**first, "path": "else.csv"}, second) == fingerprint(first, second)
    assert fingerprint({**first, "name": "c"}, second) != fingerprint(first, second)
    assert fingerprint({**first, "rename": {"x": "toxic"}}, second) != fingerprint(first, second)
    assert make_experiment("x", "b").fingerprint() == make_experiment("y", "b").fingerprint()


def test_the_fingerprint_is_what_a_model_depends_on():
    base = make_experiment("t", "b")
    fingerprint = base.fingerprint()
    assert make_experiment("t", "b", tracking={"wandb": "online"}).fingerprint() == fingerprint
    assert make_experiment("t", "b", seed=1).fingerprint() != fingerprint
    assert make_experiment("t", "b", train={"epochs": 9}).fingerprint() != fingerprint
    identities = make_experiment("t", "b", identities={"columns": ["male"]})
    assert identities.fingerprint() != fingerprint
    assert make_experiment("t", "b", identities={"columns": []}).fingerprint() == fingerprint


@pytest.mark.parametrize(
    ("section", "ignored"),
    [
        ("data", {"test", "sample_submission", "test_labels"}),
        ("train", {"max_tokens_per_batch", "gradient_checkpointing", "checkpoint_minutes"}),
        ("task_weighting", {"log_every"}),
        ("inference", {"average", "power", "max_tokens_per_batch"}),
        ("tracking", {"project", "log_every", "upload_model"}),
    ],
)
def test_keys_that_change_no_model_are_not_in_the_fingerprint(section, ignored):
    values = {
        "average": "logit", "power": 2.0, "checkpoint_minutes": 1.0, "upload_model": True,
        "log_every": 3, "max_tokens_per_batch": 77, "gradient_checkpointing": True,
    }  # fmt: skip
    changes = {key: values.get(key, "other") for key in ignored}
    changed = make_experiment("t", "b", **{section: changes})
    assert changed.fingerprint() == make_experiment("t", "b").fingerprint()
