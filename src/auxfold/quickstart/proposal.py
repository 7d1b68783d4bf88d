"""Propose an experiment file for an unknown table, with a comment next to every guess."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from auxfold.config import Model
from auxfold.data.dataset import tokenize_dataset
from auxfold.data.files import COMPRESSIONS, FORMATS, read_columns, read_header
from auxfold.data.lists import detect_list_entries, expand_lists
from auxfold.errors import InputError
from auxfold.model.tokenizer import load_tokenizer
from auxfold.quickstart.profile import ColumnProfile, TableProfile, profile_table

MAX_LENGTH = 512  # positions of the embedded backbone


def propose_experiment(
    path: str, name: str, test: str | None, main: str | None
) -> tuple[str, TableProfile]:
    """The text of an experiment file for the table at ``path``, and the profile of the table.

    Args:
        path: the table to train on.
        name: the experiment's name.
        test: the table to predict; where None, a file called ``test`` in the folder of ``path``.
        main: the main column; guessed where None.

    Raises:
        InputError: an unreadable table, no text column, no label column.
    """
    frame = read_columns(path)
    frame = expand_lists(frame, detect_list_entries(frame), path)
    test = test or _find_sibling(path, "test")
    header = read_header(test) if test else []
    # A test file with every column also has the labels, so it does not tell features from labels.
    features = header if set(frame.columns) - set(header) else []
    profile = profile_table(frame, path, features, main)
    required = {*profile.texts, *([profile.id] if profile.id else [])}
    if not required <= set(header):
        test = None
    texts = [frame[column].tolist() for column in profile.texts]
    lines = [
        *_header_lines(path, name, profile),
        *_data_lines(path, profile, test, header),
        *_model_lines(texts),
        *_tasks_lines(profile),
        *_train_lines(profile),
        *_selection_lines(profile),
    ]
    return "\n".join(lines) + "\n", profile


def suggest_name(path: str) -> str:
    """An experiment's name for a table: the file's name, or its folder's if that is ``train``."""
    stem = Path(path).name.split(".")[0]
    name = Path(path).resolve().parent.name if stem in ("train", "data", "test") else stem
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "experiment"


def _find_sibling(path: str, stem: str) -> str | None:
    """A readable file of that name in the same folder."""
    folder = Path(path).parent
    suffixes = [f".{kind}{compression}" for kind in FORMATS for compression in ("", *COMPRESSIONS)]
    candidates = [folder / f"{stem}{suffix}" for suffix in suffixes]
    return next((str(p) for p in candidates if p.is_file() and p != Path(path)), None)


def _header_lines(path: str, name: str, profile: TableProfile) -> list[str]:
    lines = [
        f"# Proposed for {path} ({profile.rows:,} rows). The reason is next to every guess.",
        "# Every other key, with its default: src/auxfold/config/.",
        f"name = {_quote(name)}",
        "seed = 42",
    ]
    lines += [f"# not used: {_quote(c)} ({reason})" for c, reason in profile.unused.items()]
    return lines


def _data_lines(path: str, profile: TableProfile, test: str | None, header: list[str]) -> list[str]:
    texts = profile.texts
    lines = ["", "[data]", f"train = {_quote(path)}"]
    if test:
        lines.append(f"test = {_quote(test)}")
        sample = _find_sibling(path, "sample_submission")
        lines += [f"sample_submission = {_quote(sample)}"] if sample else []
        released = test if {c.name for c in profile.main} <= set(header) else None
        released = released or _find_sibling(path, "test_labels")
        if released and profile.id:
            comment = "compares the score of the ensemble with those of its folds"
            lines.append(f"test_labels = {_quote(released)}  # {comment}")
    else:
        lines.append("# test = …  # the table to predict, with the same id and text columns")
    if profile.id:
        lines.append(f"id = {_quote(profile.id)}")
    else:
        lines.append('id = ""  # no column is different in every row: rows are numbered from 0')
    lines.append(f"text = {_quote(texts[0] if len(texts) == 1 else texts)}")
    for column in profile.repeated:
        lines.append(f"# group = {_quote(column)}  # if equal values must stay in one fold")
    return lines


def _model_lines(texts: list[list[str]]) -> list[str]:
    settings = Model(max_length=MAX_LENGTH)
    indices = np.random.default_rng(0).permutation(len(texts[0]))[:2000]
    sample = [[column[index] for index in indices] for column in texts]
    lengths = tokenize_dataset(sample, load_tokenizer(settings), settings).lengths()
    quantile = int(np.quantile(lengths, 0.98))
    max_length = int(np.clip(-(-quantile // 16) * 16, 32, MAX_LENGTH))
    comment = f"# tokens; 98 % of the rows have up to {quantile}"
    comment += " or more" if quantile >= MAX_LENGTH else ""
    return [
        "",
        "[model]",
        'backbone = "embedded"  # all-MiniLM-L6-v2; "microsoft/deberta-v3-base" with a GPU',
        f"max_length = {max_length}  {comment}",
        "hidden_dropout = 0.0  # on a CPU, sampling dropout masks costs about half the speed",
        "attention_dropout = 0.0",
    ]


def _tasks_lines(profile: TableProfile) -> list[str]:
    main = profile.main
    main_name = "main" if len(main) > 1 else _task_name(main[0].name)
    has_more_tasks = bool(profile.groups or profile.others)
    lines = _task_lines(main_name, main, ["main = true"] if has_more_tasks else [])
    for key, columns in profile.groups.items():
        name = key if key != main_name else f"{key}_more"
        weight = "weight = 0.5  # of this task's loss; the main task's loss has weight 1"
        lines += _task_lines(name, columns, [weight])
    for column in profile.others:
        lines += ["", "# This could be an auxiliary task:"]
        task = _task_lines(_task_name(column.name), [column], ["weight = 0.5"])[1:]
        lines += [f"# {line}" for line in task]
    return lines


def _task_lines(name: str, columns: list[ColumnProfile], settings: list[str]) -> list[str]:
    kind = columns[0].kind()
    lines = ["", "[[tasks]]", f"name = {_quote(name)}", f"kind = {_quote(kind)}"]
    if len(columns) == 1:
        lines.append(f"columns = {_quote([columns[0].name])}  # {columns[0].describe()}")
    else:
        lines.append("columns = [")
        lines += [f"    {_quote(c.name)},  # {c.describe()}" for c in columns]
        lines.append("]")
    if kind == "multiclass":
        lines.append(f"classes = {_quote(columns[0].classes())}")
    return lines + settings


def _train_lines(profile: TableProfile) -> list[str]:
    rows = profile.rows
    epochs = 4 if rows < 5_000 else 3 if rows < 20_000 else 2
    return [
        "",
        "[train]",
        f"epochs = {epochs}  # for {rows:,} rows",
        f"batch_size = {16 if rows < 20_000 else 32}",
        "learning_rate = 5e-5  # 2e-5 for a base-size backbone",
        "head_learning_rate = 1e-3",
    ]


def _selection_lines(profile: TableProfile) -> list[str]:
    column = profile.main[0]
    if column.kind() != "multiclass" or column.values.value_counts(normalize=True).min() > 0.15:
        return []
    comment = "# accuracy would reward predicting only the frequent classes"
    return ["", "[selection]", f'metric = "{_task_name(column.name)}/f1"  {comment}']


def _task_name(column: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", column).strip("_-")
    if not name:
        raise InputError(f"column {column!r} gives no task a name; name it in letters or digits")
    return name


def _quote(value: str | list[str] | None) -> str:
    return json.dumps(value, ensure_ascii=False)
