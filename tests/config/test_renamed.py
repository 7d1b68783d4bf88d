"""Keys and values of earlier versions are refused with their new names, in a file and in --set."""

from __future__ import annotations

from pathlib import Path

import pytest

from auxfold.config.experiment import experiment_from_dict, load_experiment, to_toml
from auxfold.config.lookup import find_keys
from auxfold.config.renamed import RENAMED_KEYS, RENAMED_VALUES, describe_renamed
from auxfold.errors import InputError
from conftest import make_experiment

FIXTURE = Path(__file__).parents[1] / "fixtures/experiment_0.1.toml"
KEYS = [old for old in RENAMED_KEYS if "." in old]
SECTIONS = [old for old in RENAMED_KEYS if "." not in old]
VALUES = [(path, old) for path, values in RENAMED_VALUES.items() for old in values]


def raw_with(path: str, value: object) -> dict:
    """A valid experiment with one more key in it; a key of ``tasks`` is put into the first task."""
    raw = make_experiment("t", "b").model_dump(mode="json", exclude_none=True)
    section, _, key = path.partition(".")
    target = raw["tasks"][0] if section == "tasks" else raw.setdefault(section, {})
    target[key] = value
    return raw


def refused(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def override(path: str) -> str:
    """As ``--set`` addresses it: a key of ``tasks`` by the name of a task."""
    return path.replace("tasks.", "tasks.main.")


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "e.toml"
    path.write_text(to_toml(make_experiment("t", "b")))
    return path


@pytest.mark.parametrize("old", KEYS)
def test_a_renamed_key_is_refused_with_its_new_name(config, old):
    expected = f"{old} is now {RENAMED_KEYS[old]}"
    lines = refused(lambda: experiment_from_dict(raw_with(old, 0.5), "e.toml")).split("; ")
    assert lines[-1].removeprefix("e.toml: ") == expected
    line = refused(lambda: load_experiment(config, [f"{override(old)}=0.5"]))
    assert line.startswith(f"--set {override(old)}: ") and line.endswith(expected)


@pytest.mark.parametrize("old", SECTIONS)
def test_a_renamed_section_is_refused_with_its_new_name(config, old):
    expected = f"[{old}] is now [{RENAMED_KEYS[old]}]"
    line = refused(lambda: experiment_from_dict(raw_with(f"{old}.anything", "x"), "e.toml"))
    assert line == f"e.toml: {expected}"
    line = refused(lambda: load_experiment(config, [f"{old}.method=x"]))
    assert line == f"--set {old}.method: {expected}"


@pytest.mark.parametrize(("path", "old"), VALUES)
def test_a_renamed_value_is_refused_with_the_new_one(config, path, old):
    expected = f'{path} = "{old}" is now "{RENAMED_VALUES[path][old]}"'
    line = refused(lambda: experiment_from_dict(raw_with(path, old), "e.toml"))
    assert line == f"e.toml: {expected}"
    line = refused(lambda: load_experiment(config, [f"{override(path)}={old}"]))
    assert line == f"--set {override(path)}: {expected}"


def test_an_old_value_of_an_old_key_has_both_new_names(config):
    expected = 'tasks.positive_weight = "rate" is now tasks.pos_weight = "balanced"'
    line = refused(lambda: load_experiment(config, ["tasks.main.positive_weight=rate"]))
    assert line == f"--set tasks.main.positive_weight: {expected}"
    line = refused(lambda: experiment_from_dict(raw_with("tasks.positive_weight", "rate"), "e"))
    assert line == f"e: {expected}"


def test_an_old_key_in_a_section_with_its_new_name_is_refused_too(config):
    line = refused(lambda: load_experiment(config, ["task_weighting.memory=0.5"]))
    assert line.endswith("task_weighting.memory is now task_weighting.ema_decay")
    line = refused(lambda: load_experiment(config, ["sample_weights.mean_one=false"]))
    assert line.endswith("sample_weights.mean_one is now sample_weights.scale_to_mean_one")


def test_all_renamed_keys_of_a_whole_file_are_in_one_line():
    line = refused(lambda: load_experiment(FIXTURE))
    assert line.startswith(f"{FIXTURE}: ")
    for old, new in RENAMED_KEYS.items():
        if old not in ("data.row_weight", "tasks.column_weights"):  # not in this file
            expected = f"{old} is now {new}" if "." in old else f"[{old}] is now [{new}]"
            assert line.count(expected) == 1


@pytest.mark.parametrize("new", [*RENAMED_KEYS.values(), *RENAMED_VALUES])
def test_the_new_names_are_keys_or_sections(new):
    assert find_keys(new)


def test_new_names_and_what_is_no_experiment_are_left_to_the_schema():
    raw = make_experiment("t", "b").model_dump(mode="json")
    assert describe_renamed(raw) is None
    assert describe_renamed({"tasks": 3, "train": None, "data": ["x"]}) is None
