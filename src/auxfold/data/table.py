"""A table of competition rows: ids, texts, labels, weights and groups."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np

from auxfold.data.text_column import TextColumn, hash_strings
from auxfold.errors import InputError


@dataclass(frozen=True)
class Table:
    """Rows of one file, or of several sources one after the other.

    Attributes:
        path: the file that the rows were read from.
        ids: ``(rows,)`` strings, unique.
        texts: one sequence of strings per text column, each of length ``rows``.
        labels: ``(rows, columns)`` float32, NaN where not labeled; columns as in
            ``Experiment.label_columns``; no columns for a test file.
        sample_weights: ``(rows,)`` float32, for every task.
        task_weights: task name to ``(rows,)`` float32, for tasks that name a column and, once they
            are fitted (``fit_sample_weights``), with those of ``[sample_weights]``.
        groups: ``(rows,)`` strings or None.
        identities: ``(rows, identities)`` float32 in [0, 1], NaN where not annotated; columns as in
            ``[identities]``; no columns where it names none and for a test file.
        sources: ``(rows,)`` int, the number of each row's source; None where there is one source.
        held_out: ``(rows,)`` bool, the rows of a validation file, or those that ``data.split``
            marks; None where there are none.
        from_test: ``(rows,)`` bool, the labeled examples of the test file, on which every fold
            trains and none validates; None where there are none.
        pos_weights: task name to ``(rows,)`` float32, for tasks whose ``pos_weight`` is a column.
        scheme_factors: scheme of ``[sample_weights]`` to ``(rows,)`` weights before they are
            fitted, NaN where the weight depends on other rows; empty where there is no scheme.
        notes: one line for each thing about the reading of labels that the file does not show.
    """

    path: str
    ids: np.ndarray
    texts: Sequence[Sequence[str]]
    labels: np.ndarray
    sample_weights: np.ndarray
    task_weights: dict[str, np.ndarray]
    groups: np.ndarray | None
    identities: np.ndarray
    sources: np.ndarray | None = None
    held_out: np.ndarray | None = None
    from_test: np.ndarray | None = None
    pos_weights: dict[str, np.ndarray] = field(default_factory=dict)
    scheme_factors: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def sources_at(self, indices: np.ndarray) -> np.ndarray | None:
        """The sources of the rows at ``indices`` (or of a mask); None where there is one source."""
        return None if self.sources is None else self.sources[indices]

    def take(self, indices: np.ndarray) -> Table:
        """The rows at ``indices``, in that order."""
        return Table(
            path=self.path,
            ids=self.ids[indices],
            texts=[_take_texts(column, indices) for column in self.texts],
            labels=self.labels[indices],
            sample_weights=self.sample_weights[indices],
            task_weights={name: weights[indices] for name, weights in self.task_weights.items()},
            groups=None if self.groups is None else self.groups[indices],
            identities=self.identities[indices],
            sources=self.sources_at(indices),
            held_out=None if self.held_out is None else self.held_out[indices],
            from_test=None if self.from_test is None else self.from_test[indices],
            pos_weights={name: weights[indices] for name, weights in self.pos_weights.items()},
            scheme_factors={name: x[indices] for name, x in self.scheme_factors.items()},
            notes=self.notes,
        )

    def fingerprint(self) -> str:
        """A digest of ids, texts, labels, weights, groups, identities, sources, in file order.

        All of it is as the files have it: nothing is fitted on rows.
        """
        return self._fingerprint

    def set_fingerprint(self, fingerprint: str) -> None:
        """Take a digest that was computed before, instead of computing it again."""
        vars(self)["_fingerprint"] = fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        strings: list[Sequence[str] | np.ndarray] = [
            self.ids,
            *self.texts,
            *([] if self.groups is None else [self.groups]),
        ]
        for column in strings:
            # Values are hashed rather than joined text, since a text may contain any separator.
            digest.update(hash_strings(column).tobytes())
        weights = [self.sample_weights]
        for by_name in (self.task_weights, self.pos_weights, self.scheme_factors):
            weights.extend(by_name.values())
        for numbers in (self.labels, *weights, self.identities):
            # An array without identities has no bytes and so does not change the digest.
            digest.update(np.ascontiguousarray(numbers).tobytes())
        for integers in (self.sources, self.held_out, self.from_test):
            if integers is not None:
                digest.update(integers.astype(np.int64).tobytes())
        return digest.hexdigest()[:16]


def _take_texts(column: Sequence[str], indices: np.ndarray) -> Sequence[str]:
    if isinstance(column, TextColumn):
        return column.take(indices)
    return [column[index] for index in indices]


def append_validation_rows(train: Table, held_out: Table, numbered_ids: bool) -> Table:
    """The rows of a training file followed by those of a validation file, which are marked.

    Args:
        train: rows of the training file.
        held_out: rows of the validation file.
        numbered_ids: the files have no ids and their rows are numbered; the numbers of the
            validation file become ``validation/<number>``.

    Raises:
        InputError: an id is in both files.
    """
    if numbered_ids:
        ids = np.array([f"validation/{name}" for name in held_out.ids], dtype=object)
        held_out = replace(held_out, ids=ids)
    common = sorted(set(train.ids) & set(held_out.ids))
    if common:
        raise InputError(
            f"id {common[0]!r} is in {train.path} and in {held_out.path} ({len(common)} such "
            f'ids); an id names one row, or set data.id = "" to number the rows'
        )
    both = join_tables([train, held_out], None)
    is_held_out = np.repeat([False, True], [len(train), len(held_out)])
    return replace(both, sources=None, held_out=is_held_out)


def join_tables(tables: list[Table], names: list[str] | None) -> Table:
    """The rows of several sources, one source after the other.

    With ``names``, ids become ``<source>/<id>``, so that equal ids of different sources stay
    apart. Groups do not: a group that is in two sources is one group.

    Raises:
        InputError: a source has no label in any row.
    """
    for table in tables:
        if np.isnan(table.labels).all():
            raise InputError(f"{table.path} has no label in any row; no task can be trained on it")
    has_groups = tables[0].groups is not None
    held_out = [table.held_out for table in tables if table.held_out is not None]
    ids = [t.ids for t in tables]
    if names is not None:
        ids = [
            np.array([f"{name}/{row_id}" for row_id in source_ids], object)
            for name, source_ids in zip(names, ids, strict=True)
        ]
    weighted_tasks = dict.fromkeys(name for table in tables for name in table.task_weights)
    return Table(
        path=" + ".join(table.path for table in tables),
        ids=np.concatenate(ids),
        texts=[
            TextColumn.from_strings(list(chain.from_iterable(columns)))
            for columns in zip(*(t.texts for t in tables), strict=True)
        ],
        labels=np.concatenate([table.labels for table in tables]),
        sample_weights=np.concatenate([table.sample_weights for table in tables]),
        task_weights={
            task: np.concatenate(
                [t.task_weights.get(task, np.ones(len(t), np.float32)) for t in tables]
            )
            for task in weighted_tasks
        },
        groups=np.concatenate([table.groups for table in tables]) if has_groups else None,
        identities=np.concatenate([table.identities for table in tables]),
        sources=np.repeat(np.arange(len(tables)), [len(table) for table in tables]),
        held_out=np.concatenate(held_out) if held_out else None,
        pos_weights={
            task: np.concatenate([table.pos_weights[task] for table in tables])
            for task in tables[0].pos_weights
        },
        scheme_factors={
            scheme: np.concatenate([table.scheme_factors[scheme] for table in tables])
            for scheme in tables[0].scheme_factors
        },
        notes=[f"{table.path}: {note}" for table in tables for note in table.notes],
    )
