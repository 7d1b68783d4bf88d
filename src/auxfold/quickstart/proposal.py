"""A proposed experiment file for an unknown table, with a comment beside every guess."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from auxfold.config import Model
from auxfold.data.batches import tokenize_dataset
from auxfold.data.files import COMPRESSIONS, FORMATS, header_of, read_columns
from auxfold.data.lists import all_entries, spread_lists
from auxfold.errors import InputError
from auxfold.model.backbone import load_tokenizer
from auxfold.quickstart.profile import Column, Profile, profile_table

LONGEST = 512  # positions of the embedded backbone


def propose(path: str, name: str, test: str | None, main: str | None) -> tuple[str, Profile]:
    """The text of an experiment file for the table at ``path``, and what was found in it.

    Args:
        path: the table to train on.
        name: the experiment's name.
        test: the table to predict; one called ``test`` beside ``path`` when left out.
        main: the main column; guessed when left out.

    Raises:
        InputError: an unreadable table, no text column, no label column.
    """
    frame = read_columns(path)
    frame = spread_lists(frame, all_entries(frame), path)
    test = test or _beside(path, "test")
    header = header_of(test) if test else []
    # A test file that has every column brings its labels along, and tells nothing.
    features = header if set(frame.columns) - set(header) else []
    profile = profile_table(frame, path, features, main)
    needed = {*profile.texts, *([profile.id] if profile.id else [])}
    if not needed <= set(header):
        test = None
    texts = [frame[column].tolist() for column in profile.texts]
    lines = [
        *_head(path, name, profile),
        *_data(path, profile, test, header),
        *_model(texts),
        *_tasks(profile),
        *_train(profile),
        *_selection(profile),
    ]
    return "\n".join(lines) + "\n", profile


def name_for(path: str) -> str:
    """An experiment's name for a table: its own, or its folder's where it is called ``train``."""
    stem = Path(path).name.split(".")[0]
    told = Path(path).resolve().parent.name if stem in ("train", "data", "test") else stem
    return re.sub(r"[^A-Za-z0-9_-]+", "_", told).strip("_-") or "experiment"


def _beside(path: str, stem: str) -> str | None:
    """A readable file of that name in the same folder."""
    folder = Path(path).parent
    endings = [f".{kind}{packed}" for kind in FORMATS for packed in ("", *COMPRESSIONS)]
    found = [folder / f"{stem}{ending}" for ending in endings]
    return next((str(p) for p in found if p.is_file() and p != Path(path)), None)


def _head(path: str, name: str, profile: Profile) -> list[str]:
    lines = [
        f"# Proposed for {path} ({profile.rows:,} rows). Every guess has its reason beside it;",
        "# every other key, with its default: src/auxfold/settings/.",
        f"name = {_quoted(name)}",
        "seed = 42",
    ]
    lines += [f"# not used: {_quoted(c)} ({reason})" for c, reason in profile.unused.items()]
    return lines


def _data(path: str, profile: Profile, test: str | None, header: list[str]) -> list[str]:
    texts = profile.texts
    lines = ["", "[data]", f"train = {_quoted(path)}"]
    if test:
        lines.append(f"test = {_quoted(test)}")
        sample = _beside(path, "sample_submission")
        lines += [f"sample_submission = {_quoted(sample)}"] if sample else []
        released = test if {c.name for c in profile.main} <= set(header) else None
        released = released or _beside(path, "test_labels")
        if released and profile.id:
            comment = "scores the ensemble against its folds"
            lines.append(f"test_labels = {_quoted(released)}  # {comment}")
    else:
        lines.append("# test = …  # the table to predict, with the same id and text columns")
    if profile.id:
        lines.append(f"id = {_quoted(profile.id)}")
    else:
        lines.append('id = ""  # no column differs in every row: rows are numbered from 0')
    lines.append(f"text = {_quoted(texts[0] if len(texts) == 1 else texts)}")
    for column in profile.repeated:
        lines.append(f"# group = {_quoted(column)}  # if its rows must not be split over folds")
    return lines


def _model(texts: list[list[str]]) -> list[str]:
    settings = Model(max_length=LONGEST)
    some = np.random.default_rng(0).permutation(len(texts[0]))[:2000]
    sample = [[column[row] for row in some] for column in texts]
    lengths = tokenize_dataset(sample, load_tokenizer(settings), settings).lengths()
    long = int(np.quantile(lengths, 0.98))
    longest = int(np.clip(-(-long // 16) * 16, 32, LONGEST))
    cut = f"# tokens; 98 % of the rows have up to {long}" + (" or more" if long >= LONGEST else "")
    return [
        "",
        "[model]",
        'backbone = "embedded"  # all-MiniLM-L6-v2; "microsoft/deberta-v3-base" with a GPU',
        f"max_length = {longest}  {cut}",
        "hidden_dropout = 0.0  # on CPU, drawing dropout masks costs about half the speed",
        "attention_dropout = 0.0",
    ]


def _tasks(profile: Profile) -> list[str]:
    several = bool(profile.groups)
    main = profile.main
    name = "main" if len(main) > 1 else _name(main[0].name)
    lines = _task(name, main, ["main = true"] if several or profile.others else [])
    for key, columns in profile.groups.items():
        name_of = key if key != name else f"{key}_more"
        weight = "weight = 0.5  # of this task's loss beside the main task's 1"
        lines += _task(name_of, columns, [weight])
    for column in profile.others:
        lines += ["", "# This could be an auxiliary task:"]
        told = _task(_name(column.name), [column], ["weight = 0.5"])[1:]
        lines += [f"# {line}" for line in told]
    return lines


def _task(name: str, columns: list[Column], more: list[str]) -> list[str]:
    kind = columns[0].kind()
    lines = ["", "[[tasks]]", f"name = {_quoted(name)}", f"kind = {_quoted(kind)}"]
    if len(columns) == 1:
        lines.append(f"columns = {_quoted([columns[0].name])}  # {columns[0].described()}")
    else:
        lines.append("columns = [")
        lines += [f"    {_quoted(c.name)},  # {c.described()}" for c in columns]
        lines.append("]")
    if kind == "multiclass":
        lines.append(f"classes = {_quoted(columns[0].classes())}")
    return lines + more


def _train(profile: Profile) -> list[str]:
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


def _selection(profile: Profile) -> list[str]:
    column = profile.main[0]
    if column.kind() != "multiclass" or column.values.value_counts(normalize=True).min() > 0.15:
        return []
    comment = "# accuracy would be content with the frequent classes"
    return ["", "[selection]", f'metric = "{_name(column.name)}/f1"  {comment}']


def _name(column: str) -> str:
    made = re.sub(r"[^A-Za-z0-9_-]+", "_", column).strip("_-")
    if not made:
        raise InputError(f"column {column!r} gives no task a name; name it in letters or digits")
    return made


def _quoted(value: str | list[str] | None) -> str:
    return json.dumps(value, ensure_ascii=False)
