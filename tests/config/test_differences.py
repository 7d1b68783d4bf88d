"""Two experiments are compared key by key, by what changes the trained model."""

from __future__ import annotations

from pathlib import Path

from auxfold.config.differences import describe_differences
from auxfold.config.experiment import load_experiment, to_toml
from conftest import make_experiment


def test_every_key_that_differs_is_named_with_both_values():
    stored = make_experiment("a.csv", "b")
    current = make_experiment(
        "elsewhere/a.csv", "b", folds={"n_splits": 5}, data={"group": "author"}, seed=7
    )
    assert describe_differences(stored, current) == (
        "seed = 42, you gave 7; folds.n_splits = 2, you gave 5; "
        'data.group = nothing, you gave "author"'
    )
    assert describe_differences(current, stored, "fold_1 has") == (
        'seed = 7, fold_1 has 42; data.group = "author", fold_1 has nothing; '
        "folds.n_splits = 5, fold_1 has 2"
    )


def test_tasks_go_by_their_name():
    stored = make_experiment("a.csv", "b")
    tasks = [task.model_dump(mode="json", exclude_none=True) for task in stored.tasks]
    tasks[1]["weight"] = 2.0
    other = make_experiment("a.csv", "b", tasks=tasks)
    assert describe_differences(stored, other) == "tasks.aux.weight = 0.5, you gave 2.0"
    tasks[1]["name"] = "other"
    renamed = describe_differences(stored, make_experiment("a.csv", "b", tasks=tasks))
    assert renamed is not None
    assert renamed.startswith('tasks.aux.name = "aux", you gave nothing; ')
    assert renamed.endswith(" more keys"), "a message stays one line"


def test_of_long_lists_only_what_differs_is_named():
    tags = [f"a rather long tag {letter}" for letter in "abcdef"]

    def with_tags(tags: list[str]):
        task = {"name": "topics", "kind": "tags", "columns": ["topics"], "tags": tags}
        return make_experiment("a.csv", "b", tasks=[task])

    stored, start = with_tags(tags), 'tasks.topics.tags = ["a rather long tag a'
    reordered = describe_differences(stored, with_tags(tags[::-1]))
    assert reordered is not None and reordered.startswith(start)
    assert reordered.endswith("…, you gave the same in another order")
    other = describe_differences(stored, with_tags([*tags[1:], "g"]))
    assert other is not None
    assert other.endswith('…, you gave it without ["a rather long tag a"] and with ["g"]')
    short = describe_differences(with_tags(["a", "b"]), with_tags(["b", "a"]))
    assert short == 'tasks.topics.tags = ["a", "b"], you gave ["b", "a"]'


def test_only_some_keys_are_compared():
    stored = make_experiment("a.csv", "b")
    current = make_experiment("a.csv", "b", seed=7, data={"group": "author"})
    assert describe_differences(stored, current, counts=lambda key: "task" in key) is None
    differences = describe_differences(stored, current, counts=lambda key: key != "seed")
    assert differences == 'data.group = nothing, you gave "author"'


def test_what_does_not_change_the_model_does_not_differ():
    stored = make_experiment("a.csv", "b")
    current = make_experiment(
        "b.csv", "b",
        data={"encoding": "cp1252", "separator": ";", "test": "t.csv"},
        inference={"average": "logit"},
        tracking={"wandb": "auto"},
        train={"max_tokens_per_batch": 9, "checkpoint_minutes": 1.0},
    )  # fmt: skip
    assert describe_differences(stored, current) is None
    assert stored.fingerprint() == current.fingerprint()


def test_a_key_that_the_stored_experiment_does_not_know_has_its_default(work_dir):
    experiment = make_experiment("a.csv", "b")
    lines = to_toml(experiment).splitlines()
    older = [line for line in lines if not line.startswith(("ema", "layerwise_lr_decay"))]
    assert len(older) < len(lines)
    Path("older.toml").write_text("\n".join(older))
    stored = load_experiment("older.toml")
    assert describe_differences(stored, experiment) is None
    changed = make_experiment("a.csv", "b", train={"layerwise_lr_decay": 0.9})
    assert describe_differences(stored, changed) == ("train.layerwise_lr_decay = 1.0, you gave 0.9")
