"""The ``README.md`` of a fold folder, as a model card of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub.utils import yaml_dump

from auxfold.config.experiment import Experiment

EMBEDDED = "sentence-transformers/all-MiniLM-L6-v2"  # what the backbone "embedded" is


def model_card(
    experiment: Experiment, record: dict[str, Any], metrics: dict[str, float | None]
) -> str:
    """What a reader needs in order to use the model and to know its limits, as Markdown.

    Args:
        experiment: as it was trained.
        record: the fold's ``run.json``.
        metrics: the fold's metrics on the rows that it holds out; empty for ``full``.
    """
    parts = [
        _front_matter(experiment, record, metrics),
        f"# {experiment.name}, fold {record['fold']}\n",
        _describe_training(experiment, record),
        _tasks_table(experiment),
        _scores_table(experiment, record, metrics),
        _describe_usage(experiment),
        _describe_adapter(experiment),
        _describe_limits(record),
    ]
    return "\n".join(parts)


def _front_matter(
    experiment: Experiment, record: dict[str, Any], metrics: dict[str, float | None]
) -> str:
    backbone = experiment.model.backbone
    on_hub = backbone.count("/") == 1 and not Path(backbone).exists()
    front: dict[str, Any] = {"library_name": "auxfold", "pipeline_tag": "text-classification"}
    if on_hub or backbone == "embedded":
        front["base_model"] = EMBEDDED if backbone == "embedded" else backbone
        if experiment.model.adapter is not None:
            front["base_model_relation"] = "adapter"
    front["tags"] = ["auxfold", "multi-task", experiment.name]
    metric = record["selection"]["metric"]
    value = metrics.get(metric)
    if value is not None:
        task, slash, name = metric.partition("/")
        if not slash:  # a mean over the multi-class tasks
            task, name = "all multi-class tasks", metric
        result = {
            "task": {"type": "text-classification", "name": task},
            "dataset": {
                "name": f"{experiment.name}, validation rows of the fold",
                "type": "tabular",
            },
            "metrics": [{"type": name.replace("/", "_"), "value": round(value, 6)}],
        }
        index = {"name": f"{experiment.name}-fold{record['fold']}", "results": [result]}
        front["model-index"] = [index]
    return f"---\n{yaml_dump(front, sort_keys=False)}---\n"


def code(text: str) -> str:
    """A text as code in Markdown, also in a table: nothing in it is markup."""
    if not set(text) & set("`|\\\r\n"):
        return f"`{text}`"
    # Only HTML has a code that these characters do not end.
    characters = (c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text)
    return f"<code>{''.join(characters)}</code>"


def _describe_training(experiment: Experiment, record: dict[str, Any]) -> str:
    n_rows, n_folds = record["rows"], len(experiment.folds.names)
    of_folds = f", {n_folds} folds" if n_folds > 1 else ""
    held_out = "" if record["fold"] == "full" else f" ({n_rows['valid']:,} held out{of_folds})"
    return f"""\
This is {code(experiment.model.backbone)}, fine-tuned with auxfold on several related labels at
once: a main task, `{experiment.main_task.name}`, and weighted auxiliary tasks that regularize the
shared backbone. It was trained on {n_rows["train"]:,} rows{held_out}. The data fingerprint is
`{record["data_fingerprint"]}` and the experiment fingerprint is
`{record["experiment_fingerprint"]}`. {_describe_length(experiment)}
"""


def _describe_length(experiment: Experiment) -> str:
    n_tokens = experiment.model.max_length
    if experiment.model.truncation == "windows":
        return f"Texts with more than {n_tokens} tokens are read in overlapping windows of so many."
    return f"Texts are truncated to {n_tokens} tokens."


def _tasks_table(experiment: Experiment) -> str:
    lines = ["## Tasks\n", "| task | kind | labels | weight |", "| --- | --- | --- | --- |"]
    for task in experiment.tasks:
        main = " (main)" if task.name == experiment.main_task.name else ""
        columns = ", ".join(map(code, task.columns))
        lines.append(f"| `{task.name}`{main} | {task.kind} | {columns} | {task.weight:g} |")
    return "\n".join([*lines, ""])


def _scores_table(
    experiment: Experiment, record: dict[str, Any], metrics: dict[str, float | None]
) -> str:
    if not metrics:
        return "## Scores\n\nThe model was trained on every row, so there are no held-out scores.\n"
    lines = ["## Scores on the held-out rows of this fold\n", "| metric | value |", "| --- | --- |"]
    lines += [
        f"| {code(name)} | {'undefined' if value is None else f'{value:.4f}'} |"
        for name, value in metrics.items()
    ]
    selection = record["selection"]
    notes = {
        "best": f"The checkpoint was selected by {code(selection['metric'])} on the same rows.",
        "last": "The checkpoint is the last one; it was not selected on these rows.",
        "average": f"The weights are the mean of those at the last {selection.get('averaged')} "
        f"evaluations; they were not selected on these rows.",
    }
    return "\n".join([*lines, f"\n{notes[experiment.selection.keep]}\n"])


def _describe_usage(experiment: Experiment) -> str:
    data = experiment.data
    texts = '["What a lovely garden"]'
    if data.is_pair:
        texts = '[("first text", "second text")]'
    elif data.template is not None:
        texts = "[{" + ", ".join(f'{name!r}: "…"' for name in data.text_columns) + "}]"
    return f"""## Use

```python
import auxfold

model = auxfold.load("path/to/this/folder")
model.predict({texts})               # the main task
model.predict({texts}, tasks="all")  # every task
```
"""


def _describe_adapter(experiment: Experiment) -> str:
    adapter = experiment.model.adapter
    if adapter is None:
        return ""
    return f"""## The backbone

The model is an adapter (`{adapter.kind}`) of the frozen {code(experiment.model.backbone)}.
Where `config.json` has a `reference`, the backbone is not in this folder. It is loaded by that
name, and refused if it has another SHA-256. `auxfold merge` writes folders with all weights.
"""


def _describe_limits(record: dict[str, Any]) -> str:
    ensemble_note = "" if record["fold"] == "full" else "This is one fold of an ensemble. "
    return f"""## Limits

{ensemble_note}Probabilities follow the label rates of the training rows and are not calibrated for
other rates. The model knows the language, topics and annotators of one data set. Measure it on
your own texts, also by the groups of people that they mention, before its scores decide anything.
"""
