"""What a table is like, and what in it will hurt: rare labels, duplicates, overlap, cut texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.config.folds import NEAR_EQUAL
from auxfold.data.folds import duplicate_keys
from auxfold.data.loading import read_prediction_table
from auxfold.data.table import Table
from auxfold.errors import InputError, list_first
from auxfold.evaluation.duplicate_report import count_across_folds
from auxfold.evaluation.token_statistics import TokenStatistics, measure_tokens
from auxfold.model.tokenizer import load_tokenizer
from auxfold.storage.checksums import read_json_checked, write_json_checked
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task, TaskSet

FEW_ROWS = 5  # of a label in a fold, below which its score is mostly chance
DOMINANT_SHARE = 0.9  # of one answer, from which accuracy says little
SHOWN = 5  # labels in a line


@dataclass(frozen=True)
class LabelCount:
    """How often one label is positive, or one class is the label.

    Attributes:
        task: the name of the task.
        column: the label column; for classes whose shares are columns, the name of the task.
        value: the class; None for a binary label, which is counted where it is 0.5 or more.
        rows: the rows that have it.
        labeled: the rows that are labeled in that column.
        per_fold: the rows that have it in each fold; an even share where no folds are known.
    """

    task: str
    column: str
    value: str | None
    rows: int
    labeled: int
    per_fold: list[int]

    @property
    def label(self) -> str:
        """The column, or ``<column> = <class>``."""
        return self.column if self.value is None else f"{self.column} = {self.value}"

    @property
    def share(self) -> float:
        """Of the labeled rows, those that have it."""
        return self.rows / max(self.labeled, 1)


@dataclass(frozen=True)
class DataSummary:
    """What a table is like.

    Attributes:
        path: the file or files.
        rows: the number of rows.
        empty_texts: rows without any text.
        duplicates: rows whose texts are those of an earlier row (case, white space and punctuation
            apart).
        conflicts: texts of several rows that have different labels of the main task.
        validation_overlap: rows of a separate validation set whose texts are trained on.
        test_rows: rows of the test file; None where it is not there.
        test_overlap: rows of the test file whose texts are trained on.
        test_error: why the test file cannot be read; empty where it can, or is not there.
        labels: every binary label and every class, task by task.
        tokens: how the backbone's tokenizer reads a sample; None where it cannot be loaded.
        tokens_error: why it cannot be loaded; empty where it can.
        across_folds: rows in groups of near-equal texts that several folds share; None where they
            are not counted: without folds, and where ``folds.group_near_duplicates`` is set.
    """

    path: str
    rows: int
    empty_texts: int
    duplicates: int
    conflicts: int
    validation_overlap: int
    test_rows: int | None
    test_overlap: int
    test_error: str
    labels: list[LabelCount]
    tokens: TokenStatistics | None
    tokens_error: str
    across_folds: int | None = None

    def warnings(self) -> list[str]:
        """What will hurt, one line each, without ``warning:``; empty where nothing does."""
        tokens = [f"the tokens of the texts are not counted: {self.tokens_error}"]
        if self.tokens is not None:
            tokens = self.tokens.warnings()
        return [*self._label_warnings(), *self._text_warnings(), *tokens]

    def majority_scores(self) -> dict[str, float]:
        """The accuracy of always giving the most frequent answer, by label column."""
        scores: dict[str, float] = {}
        for label in self.labels:
            share = label.share if label.value is not None else max(label.share, 1 - label.share)
            scores[label.column] = max(share, scores.get(label.column, 0.0))
        return scores

    def _label_warnings(self) -> list[str]:
        lines = []
        rare = [label for label in self.labels if min(label.per_fold) < FEW_ROWS]
        if rare:
            counts = [_describe_count(label) for label in sorted(rare, key=lambda c: c.rows)]
            lines.append(
                f"labels with fewer than {FEW_ROWS} rows in a fold, whose scores are mostly "
                f"chance: {list_first(counts, SHOWN)}"
            )
        dominant = [
            f"{column} {score:.3f}"
            for column, score in self.majority_scores().items()
            if score >= DOMINANT_SHARE
        ]
        if dominant:
            lines.append(
                f"one answer dominates, so that accuracy says little; the accuracy of always "
                f"giving it: {list_first(dominant, SHOWN)}"
            )
        return lines

    def _text_warnings(self) -> list[str]:
        lines = []
        if self.empty_texts:
            lines.append(f"{self.empty_texts:,} of {self.rows:,} rows have no text")
        if self.duplicates:
            conflicts = f"; {self.conflicts:,} of these texts have several different labels"
            lines.append(
                f"{self.duplicates:,} of {self.rows:,} rows repeat the text of an earlier row"
                f"{conflicts if self.conflicts else ''}"
            )
        if self.across_folds:
            lines.append(
                f"{self.across_folds:,} of {self.rows:,} rows have a text that is nearly equal to "
                f"one in another fold; auxfold find-duplicates lists them, and "
                f"folds.group_near_duplicates = {NEAR_EQUAL} keeps them in one fold"
            )
        too_good = "have texts that are trained on too: their score will be too good"
        if self.validation_overlap:
            lines.append(f"{self.validation_overlap:,} rows to validate on {too_good}")
        if self.test_overlap:
            lines.append(f"{self.test_overlap:,} of {self.test_rows:,} test rows {too_good}")
        if self.test_error:
            lines.append(f"the test file cannot be read: {self.test_error}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> DataSummary:
        """The inverse of :meth:`to_dict`."""
        labels = [LabelCount(**label) for label in content["labels"]]
        tokens = content["tokens"] and TokenStatistics(**content["tokens"])
        return cls(**{**content, "labels": labels, "tokens": tokens})


def summarize_data(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    folds: np.ndarray | None = None,
) -> DataSummary:
    """Look at the rows of an experiment, and at its test file where that is there.

    Args:
        experiment: names the test file, the backbone and the number of folds.
        tasks: its tasks.
        table: its training table.
        folds: ``(rows,)`` the fold of each row, -1: only trained on; None: not made yet.
    """
    if folds is None and table.held_out is not None:
        folds = np.where(table.held_out, 0, -1)
    keys = np.array(duplicate_keys(table.texts), dtype=object)
    has_text = np.array([any(map(str.strip, row)) for row in zip(*table.texts, strict=True)])
    texts = keys[has_text]
    tokens, tokens_error = _measure_tokens(experiment, table)
    test_rows, test_overlap, test_error = _compare_with_test(experiment, set(texts))
    return DataSummary(
        path=table.path,
        rows=len(table),
        empty_texts=int((~has_text).sum()),
        duplicates=len(texts) - len(set(texts)),
        conflicts=_count_conflicts(texts, table.labels[has_text, tasks.main_slice]),
        validation_overlap=_count_validation_overlap(keys, table.held_out),
        test_rows=test_rows,
        test_overlap=test_overlap,
        test_error=test_error,
        labels=_count_labels(tasks, table, folds, len(experiment.folds.names)),
        tokens=tokens,
        tokens_error=tokens_error,
        across_folds=_count_across_folds(experiment, keys, folds),
    )


def write_data_summary(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> DataSummary:
    """Summarize the rows of an experiment, and store the summary in its run folder."""
    summary = summarize_data(experiment, tasks, table, folds)
    write_json_checked(RunFolder.of(experiment).data_summary, summary.to_dict())
    return summary


def read_data_summary(experiment: Experiment) -> DataSummary | None:
    """The summary that ``make_folds`` stored; None where it did not.

    Raises:
        InputError: it is damaged.
    """
    path = RunFolder.of(experiment).data_summary
    if not path.is_file():
        return None
    return DataSummary.from_dict(read_json_checked(path, "run scripts/make_folds.py again"))


def _count_labels(
    tasks: TaskSet, table: Table, folds: np.ndarray | None, n_folds: int
) -> list[LabelCount]:
    counts = []
    for task, columns in tasks.items():
        for column, value, has_label, is_labeled in _label_masks(task, table.labels[:, columns]):
            in_folds = has_label if table.from_test is None else has_label & ~table.from_test
            per_fold = [int(in_folds.sum()) // n_folds] * n_folds
            if folds is not None:
                per_fold = np.bincount(folds[has_label & (folds >= 0)], minlength=n_folds).tolist()
            rows, labeled = int(has_label.sum()), int(is_labeled.sum())
            counts.append(LabelCount(task.name, column, value, rows, labeled, per_fold))
    return counts


def _label_masks(
    task: Task, labels: np.ndarray
) -> Iterator[tuple[str, str | None, np.ndarray, np.ndarray]]:
    """Column, class, rows that have the label and labeled rows, of every label and class."""
    names = task.settings.label_columns
    known = ~np.isnan(labels)
    if task.class_names is not None:
        is_labeled, is_number = known.all(axis=1), len(names) == 1
        numbers = labels[:, 0] if is_number else np.nan_to_num(labels).argmax(axis=1)
        for number, name in enumerate(task.class_names):
            column = names[0] if is_number else task.name
            yield column, name, is_labeled & (numbers == number), is_labeled
    elif task.has_positive_class:
        for index, name in enumerate(names):
            yield name, None, labels[:, index] >= 0.5, known[:, index]


def _count_conflicts(keys: np.ndarray, labels: np.ndarray) -> int:
    """The number of texts that rows with different labels have; a missing label does not differ."""
    cells = pd.DataFrame(labels).groupby(keys)
    return int((cells.nunique(dropna=True) > 1).any(axis=1).sum())


def _count_across_folds(
    experiment: Experiment, keys: np.ndarray, folds: np.ndarray | None
) -> int | None:
    if folds is None or experiment.folds.group_near_duplicates is not None:
        return None
    return count_across_folds(keys, folds, NEAR_EQUAL)


def _count_validation_overlap(keys: np.ndarray, held_out: np.ndarray | None) -> int:
    return 0 if held_out is None else int(np.isin(keys[held_out], keys[~held_out]).sum())


def _measure_tokens(experiment: Experiment, table: Table) -> tuple[TokenStatistics | None, str]:
    """The tokens of a sample of the rows, or why there are none."""
    settings = experiment.model
    try:
        tokenizer = load_tokenizer(settings)
        return measure_tokens(table.texts, tokenizer, settings, experiment.data), ""
    except InputError as error:  # another machine may have the backbone
        return None, str(error)


def _compare_with_test(experiment: Experiment, keys: set[str]) -> tuple[int | None, int, str]:
    """Rows of the test file, those of them whose text is in ``keys``, and why it is unreadable."""
    path = experiment.data.test
    if path is None or not Path(path).is_file():
        return None, 0, ""
    try:
        test = read_prediction_table(experiment, path)
    except InputError as error:
        return None, 0, str(error)
    return len(test), sum(key in keys for key in duplicate_keys(test.texts)), ""


def _describe_count(label: LabelCount) -> str:
    fewest, most = min(label.per_fold), max(label.per_fold)
    per_fold = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return f"{label.label} {label.rows:,} ({per_fold} a fold)"
