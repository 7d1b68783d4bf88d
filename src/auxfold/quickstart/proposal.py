"""Propose an experiment file for an unknown table, with a comment next to every guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config import Model
from auxfold.config.folds import DATA_SPLIT
from auxfold.config.toml_text import toml_value
from auxfold.data.files import (
    COMPRESSIONS,
    FORMATS,
    FileFormat,
    detect_format,
    read_columns,
    read_header,
)
from auxfold.data.lists import detect_list_entries, expand_lists
from auxfold.data.objects import expand_objects, match_object_keys
from auxfold.data.parts import DEV, TEST
from auxfold.errors import InputError
from auxfold.evaluation.token_statistics import TokenStatistics, measure_tokens
from auxfold.model.tokenizer import load_tokenizer
from auxfold.quickstart.column import object_keys
from auxfold.quickstart.profile import Requests, TableProfile, profile_table
from auxfold.quickstart.sample import Sample
from auxfold.quickstart.task_lines import N_SPLITS, task_lines, task_names

MAX_LENGTH = 512  # positions of the embedded backbone
SAMPLE_NAMES = ("sample_submission", "sampleSubmission", "SampleSubmission", "submission_format")


def propose_experiment(
    path: str,
    name: str,
    test: str | None = None,
    requests: Requests | None = None,
    sample: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
) -> tuple[str, TableProfile]:
    """The text of an experiment file for the table at ``path``, and the profile of the table.

    Args:
        path: the table to train on.
        name: the experiment's name.
        test: the table to predict; where None, a file called ``test`` in the folder of ``path``.
        requests: the columns that the user names; the others are guessed.
        sample: the sample submission; where None, a file called so in the folder of ``path``.
        encoding: of the table; detected where None.
        separator: between the columns of the table; detected where None.

    Raises:
        InputError: an unreadable table, no text column, no label column, columns that can be read
            in two ways, or a first row that is data.
    """
    file_format = _check_header(path, encoding, separator)
    frame = _read_table(path, encoding, separator)
    sample_path = sample or next(filter(None, (_find_sibling(path, n) for n in SAMPLE_NAMES)), None)
    sample_file = Sample.read(sample_path) if sample_path else None
    test_path = test or _find_sibling(path, "test")
    options: dict[str, Any] = {"encoding": encoding, "separator": separator}
    header = read_header(test_path, **options) if test_path else []
    # A test file with every column also has the labels, so it does not tell features from labels.
    features = header if set(frame.columns) - set(header) else []
    profile = profile_table(frame, path, features, requests, sample_file)
    missing = [c for c in (*profile.texts, profile.id) if c and c not in header] if header else []
    if missing and test:
        raise InputError(f"{test} has no column {missing[0]!r}, which {path} has")
    tokens = _measure(frame, profile.texts)
    lines = [
        *_header_lines(path, name, profile),
        *_data_lines(path, profile, file_format),
        *_test_lines(path, profile, test_path, header, missing, sample_file),
        *_folds_lines(profile),
        *_model_lines(tokens),
        *task_lines(profile),
        *_train_lines(profile),
        *_selection_lines(profile),
    ]
    return "\n".join(lines) + "\n", profile


def suggest_name(path: str) -> str:
    """An experiment's name for a table: the file's name, or its folder's if that is ``train``."""
    stem = Path(path).name.split(".")[0]
    name = Path(path).resolve().parent.name if stem in ("train", "data", "test") else stem
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "experiment"


def _check_header(path: str, encoding: str | None, separator: str | None) -> FileFormat:
    """How the file is written, once its first row holds names."""
    options: dict[str, Any] = {"encoding": encoding, "separator": separator}
    file_format = detect_format(path, **options)
    if file_format.header_is_data:
        names = ", ".join(repr(name[:30]) for name in read_header(path, **options)[:3])
        raise InputError(
            f"{path}: the first row looks like data, not like names of columns: {names}; add a "
            f"first row with names, such as label and text"
        )
    return file_format


def _read_table(path: str, encoding: str | None, separator: str | None) -> pd.DataFrame:
    """All columns; lists of one length and objects as a column per entry."""
    frame = read_columns(path, encoding=encoding, separator=separator)
    entries = {
        name: entry
        for name, entry in detect_list_entries(frame).items()
        if _holds_numbers(frame[entry[0]])
    }
    frame = expand_lists(frame, entries, path)
    for column in list(frame.columns):
        names = [f"{column}.{key}" for key in object_keys(frame[column])]
        if names:
            frame = expand_objects(frame, match_object_keys(names, [column]), path)
            frame = frame.drop(columns=column)
    return frame


def _holds_numbers(cells: pd.Series) -> bool:
    """Whether lists of one length have several entries, all of them numbers."""
    return bool(cells.str.fullmatch(r"\s*\[[\d\s.,eE+-]*,[\d\s.,eE+-]*\]\s*").all())


def _find_sibling(path: str, stem: str) -> str | None:
    """A readable file of that name in the same folder."""
    folder = Path(path).parent
    suffixes = [f".{kind}{compression}" for kind in FORMATS for compression in ("", *COMPRESSIONS)]
    candidates = [folder / f"{stem}{suffix}" for suffix in suffixes]
    return next((str(p) for p in candidates if p.is_file() and p != Path(path)), None)


def _measure(frame: pd.DataFrame, texts: Sequence[str]) -> TokenStatistics:
    settings = Model(max_length=MAX_LENGTH)
    columns = [frame[column].tolist() for column in texts]
    return measure_tokens(columns, load_tokenizer(settings), settings)


def _header_lines(path: str, name: str, profile: TableProfile) -> list[str]:
    lines = [
        f"# Proposed for {path} ({profile.rows:,} rows). The reason is next to every guess.",
        "# Every other key, with its default: auxfold config.",
        f"name = {toml_value(name)}",
        "seed = 42",
    ]
    lines += [f"# not used: {toml_value(c)} ({reason})" for c, reason in profile.unused.items()]
    return lines


def _data_lines(path: str, profile: TableProfile, file_format: FileFormat) -> list[str]:
    texts = profile.texts
    lines = ["", "[data]", f"train = {toml_value(path)}"]
    if file_format.encoding and not file_format.encoding.startswith("utf"):
        lines.append(f"encoding = {toml_value(file_format.encoding)}  # since it is not UTF-8")
    if file_format.separator not in (None, "\t" if file_format.kind == "tsv" else ","):
        lines.append(f"separator = {toml_value(file_format.separator)}  # between the columns")
    if profile.id:
        lines.append(f"id = {toml_value(profile.id)}")
    else:
        lines.append('id = ""  # no column is known to be an id: rows are numbered from 0')
    pair = "  # a pair, in this order" if len(texts) == 2 else ""
    lines.append(f"text = {toml_value(texts[0] if len(texts) == 1 else texts)}{pair}")
    if profile.split:
        parts = ", ".join(f"{count:,} {part}" for part, count in profile.parts.items())
        comment = f"# {parts}; test rows are not trained on"
        lines.append(f"split = {toml_value(profile.split)}  {comment}")
    for column in profile.repeated:
        lines.append(f"# group = {toml_value(column)}  # if equal values must stay in one fold")
    return lines


def _test_lines(
    path: str,
    profile: TableProfile,
    test: str | None,
    header: list[str],
    missing: list[str],
    sample: Sample | None,
) -> list[str]:
    """The file to predict, the sample submission and the test labels, as far as there are any."""
    lines = []
    has_labels = set(profile.main.column_names) <= set(header)
    if test and not missing:
        lines.append(f"test = {toml_value(test)}")
    elif TEST in profile.parts:
        test, has_labels = path, True
        lines.append(f"test = {toml_value(path)}  # the rows that the split marks as test")
    else:
        reason = f"{test} has no column {missing[0]!r}" if missing else "the table to predict"
        lines.append(f"# test = …  # {reason}; it needs the same id and text columns")
        test = None
    if sample and test:
        line = f"sample_submission = {toml_value(sample.path)}"
        is_filled = len(sample.columns) == 1 or sample.targets(
            {column.name: column for column in profile.main.columns}
        )
        reason = f"  # it asks for {', '.join(sample.columns[:5])}, which no task here predicts"
        lines.append(line if is_filled else f"# {line}{reason}")
    released = test if has_labels else _find_sibling(path, "test_labels")
    if test and released and profile.id:
        comment = "compares the score of the ensemble with those of its folds"
        lines.append(f"test_labels = {toml_value(released)}  # {comment}")
    return lines


def _folds_lines(profile: TableProfile) -> list[str]:
    if DEV in profile.parts:
        comment = "# the rows that the split marks as dev, instead of folds"
        return ["", "[folds]", f"validation = {toml_value(DATA_SPLIT)}  {comment}"]
    column = profile.main.columns[0]
    if profile.main.kind != "binary" or len(profile.main.columns) > 1:
        return []
    share = (column.numbers >= 0.5).mean() if column.numbers is not None else None
    rarer = min(column.counts) if share is None else min(share, 1 - share) * len(column.values)
    if rarer >= N_SPLITS:
        return []
    n_splits = max(2, round(rarer))
    return ["", "[folds]", f"n_splits = {n_splits}  # {round(rarer)} rows have the rarer label"]


def _model_lines(tokens: TokenStatistics) -> list[str]:
    quantile = tokens.quantiles["98"]
    max_length = int(np.clip(-(-quantile // 16) * 16, 32, MAX_LENGTH))
    comment = f"# tokens; 98 % of the rows have up to {quantile:,}"
    warning = tokens.language_warning()
    return [
        "",
        "[model]",
        'backbone = "embedded"  # all-MiniLM-L6-v2; "microsoft/deberta-v3-base" with a GPU',
        *([f"# warning: {warning}"] if warning else []),
        f"max_length = {max_length}  {comment}",
        "hidden_dropout = 0.0  # on a CPU, dropout costs about a tenth of the speed",
        "attention_dropout = 0.0",
    ]


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
    main = profile.main
    column = main.columns[0]
    if main.kind != "multiclass" or len(main.columns) > 1:
        return []
    if column.counts.min() > 0.15 * len(column.values):
        return []
    comment = "# accuracy would reward predicting only the frequent classes"
    return ["", "[selection]", f'metric = "{task_names(profile)[column.name]}/f1"  {comment}']
