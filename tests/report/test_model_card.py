"""Names of columns are data: they are neither Markdown, nor HTML, nor YAML."""

from __future__ import annotations

import re

import pytest
import yaml

from auxfold.report.model_card import code, model_card
from conftest import make_experiment

NAMES = [
    "a|b",
    "`x`",
    "<img src=x onerror=alert(1)>",
    "**b** $x$",
    "a\\|b",
    "c: [d]\n- e",
    "[l](u)",
]


def make_card(columns: list[str]) -> str:
    tasks = [{"name": "main", "kind": "binary", "columns": columns, "main": True}]
    metric = f"main/auc/{columns[-1]}"
    experiment = make_experiment("t", "b", tasks=tasks)
    record = {
        "fold": 0, "rows": {"train": 40, "valid": 20}, "data_fingerprint": "0" * 16,
        "experiment_fingerprint": "1" * 16, "selection": {"metric": metric},
    }  # fmt: skip
    metrics = {f"main/auc/{column}": 0.25 for column in columns}
    return model_card(experiment, record, metrics)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_of_any_column_is_whole(name):
    _, front, body = make_card(["plain", name]).split("---\n", 2)
    result = yaml.safe_load(front)["model-index"][0]["results"][0]
    assert result["metrics"] == [{"type": f"auc_{name.replace('/', '_')}", "value": 0.25}]
    assert yaml.safe_load(front)["tags"] == ["auxfold", "multi-task", "tiny"]
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 1 + 2 + 2
    assert all(line.count("|") in (3, 5) for line in rows), "a name ends no cell"
    outside = re.sub(r"`[^`]*`|<code>[\w &#;]*</code>", "", body)
    assert not re.search(r"[<$\\]|onerror|\[l\]|b\*\*", outside)


def test_plain_names_are_code_and_others_are_entities():
    assert code("toxic $x$") == "`toxic $x$`"
    assert code("a|`b`") == "<code>a&#124;&#96;b&#96;</code>"
