"""The ``README.md`` of a fold folder, in the form that the Hugging Face hub knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auxfold.config.experiment import Experiment


def model_card(
    experiment: Experiment, record: dict[str, Any], metrics: dict[str, float | None]
) -> str:
    """What a stranger needs in order to use the model, and to know its limits.

    Args:
        experiment: as trained.
        record: the fold's ``run.json``.
        metrics: the fold's metrics on its own validation rows; empty for ``full``.
    """
    parts = [
        _front_matter(experiment, record, metrics),
        f"# {experiment.name}, fold {record['fold']}\n",
        _what(experiment, record),
        _tasks(experiment),
        _scores(experiment, record, metrics),
        _usage(experiment),
        _backbone(experiment),
        _limits(record),
    ]
    return "\n".join(parts)


def _front_matter(
    experiment: Experiment, record: dict[str, Any], metrics: dict[str, float | None]
) -> str:
    base = experiment.model.backbone
    on_hub = base.count("/") == 1 and not Path(base).exists()
    base = "sentence-transformers/all-MiniLM-L6-v2" if base == "embedded" else base
    lines = ["---", "library_name: auxfold", "pipeline_tag: text-classification"]
    if on_hub or experiment.model.backbone == "embedded":
        lines.append(f"base_model: {base}")
        if experiment.model.adapter is not None:
            lines.append("base_model_relation: adapter")
    lines += ["tags:", "- auxfold", "- multi-task", f"- {experiment.name}"]
    metric = record["selection"]["metric"]
    if metrics.get(metric) is not None:
        task, slash, name = metric.partition("/")
        if not slash:  # the mean over several multi-class tasks
            task, name = "all multi-class tasks", metric
        lines += [
            "model-index:", f"- name: {experiment.name}-fold{record['fold']}", "  results:",
            "  - task:", "      type: text-classification", f"      name: {task}",
            "    dataset:", f"      name: {experiment.name}, validation rows of the fold",
            "      type: tabular", "    metrics:", f"    - type: {name.replace('/', '_')}",
            f"      value: {metrics[metric]:.6f}",
        ]  # fmt: skip
    return "\n".join([*lines, "---", ""])


def _what(experiment: Experiment, record: dict[str, Any]) -> str:
    rows, n_folds = record["rows"], len(experiment.folds.names)
    divided = f", {n_folds} folds" if n_folds > 1 else ""
    held_out = "" if record["fold"] == "full" else f" ({rows['valid']:,} held out{divided})"
    return f"""\
`{experiment.model.backbone}` fine-tuned with auxfold on several related labels at once: a main
task, `{experiment.main_task.name}`, and weighted auxiliary tasks that regularise the shared
backbone. Trained on {rows["train"]:,} rows{held_out}; data fingerprint
`{record["data_fingerprint"]}`, experiment fingerprint `{record["experiment_fingerprint"]}`.
Texts are cut to {experiment.model.max_length} tokens.
"""


def _tasks(experiment: Experiment) -> str:
    lines = ["## Tasks\n", "| task | kind | labels | weight |", "| --- | --- | --- | --- |"]
    for task in experiment.tasks:
        main = " (main)" if task.name == experiment.main_task.name else ""
        columns = ", ".join(f"`{column}`" for column in task.columns)
        lines.append(f"| `{task.name}`{main} | {task.kind} | {columns} | {task.weight:g} |")
    return "\n".join([*lines, ""])


def _scores(
    experiment: Experiment, record: dict[str, Any], metrics: dict[str, float | None]
) -> str:
    if not metrics:
        return "## Scores\n\nTrained on every row: there are no held-out scores.\n"
    lines = ["## Scores on the held-out rows of this fold\n", "| metric | value |", "| --- | --- |"]
    lines += [
        f"| {name} | {'undefined' if value is None else f'{value:.4f}'} |"
        for name, value in metrics.items()
    ]
    told = {
        "best": f"The checkpoint was chosen by `{record['selection']['metric']}` on the same rows.",
        "last": "The checkpoint is the last one; these rows did not choose it.",
        "average": f"The weights are the mean of the last {record['selection'].get('averaged')} "
        f"evaluations'; these rows did not choose them.",
    }
    return "\n".join([*lines, f"\n{told[experiment.selection.keep]}\n"])


def _usage(experiment: Experiment) -> str:
    pair = len(experiment.data.text_columns) == 2
    texts = '[("first text", "second text")]' if pair else '["What a lovely garden"]'
    return f"""## Use

```python
import auxfold

model = auxfold.load("path/to/this/folder")
model.predict({texts})               # the main task
model.predict({texts}, tasks="all")  # every task
```
"""


def _backbone(experiment: Experiment) -> str:
    adapter = experiment.model.adapter
    if adapter is None:
        return ""
    return f"""## The backbone

Trained as an adapter (`{adapter.kind}`) of the frozen `{experiment.model.backbone}`. Where
`config.json` has a `reference`, the backbone is not in this folder: it is loaded by that name, and
refused if its SHA-256 is another. `scripts/merge.py` writes folders with all weights in them.
"""


def _limits(record: dict[str, Any]) -> str:
    one = "" if record["fold"] == "full" else "This is one fold of an ensemble. "
    return f"""## Limits

{one}Probabilities follow the label rates of the training rows and are not calibrated for
others. The model has seen one data set's language, topics and annotators: measure it on your own
texts, also by the groups of people they mention, before its scores decide anything.
"""
