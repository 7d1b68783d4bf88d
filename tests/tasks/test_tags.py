"""Tags are binary labels with cells of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auxfold.config import BinarySettings, TagsSettings
from auxfold.errors import InputError
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.tags import TagsTask

LABELS = np.array([[1, 0], [0, 1], [1, 1], [np.nan, np.nan]], dtype=np.float32)
PROBABILITIES = np.array([[0.9, 0.5], [0.2, 0.4], [0.5, 0.6], [0.1, 0.7]])


def tags_task(**settings: object) -> TagsTask:
    complete = {"tags": ["a", "b c"], "cell_format": "separated", "separator": "; ", **settings}
    return TagsTask(TagsSettings(name="t", kind="tags", columns=["y"], **complete))


def test_losses_and_metrics_are_those_of_binary_columns():
    names = ["y_a", "y_b c"]
    keys = {"pos_weight": "balanced", "label_smoothing": 0.1, "loss": "focal"}
    binary = BinaryTask(BinarySettings(name="t", kind="binary", columns=names, **keys))
    task = tags_task(**keys).fit(LABELS)
    known, logits = torch.tensor(LABELS[:3]), torch.tensor([[0.3, -1.0], [2.0, 0.0], [0.1, 0.2]])
    expected = binary.fit(LABELS).cell_losses(logits, known)
    torch.testing.assert_close(task.cell_losses(logits, known), expected)
    assert task.n_outputs == 2 and task.prediction_columns == names
    metrics = task.compute_metrics(LABELS, PROBABILITIES)
    assert metrics == binary.compute_metrics(LABELS, PROBABILITIES)
    assert metrics["auc/y_a"] == 1.0


def test_predictions_hold_the_cells_and_a_probability_per_tag():
    columns = tags_task().to_columns(PROBABILITIES)
    assert list(columns) == ["y", "y_a", "y_b c"]
    assert columns["y"].tolist() == ["a; b c", "", "a; b c", "b c"]
    np.testing.assert_array_equal(columns["y_b c"], PROBABILITIES[:, 1])


def test_numbers_are_written_as_numbers():
    task = tags_task(tags=[3, 27], cell_format="json", separator=None)
    assert task.format_cells(np.array([[True, True], [False, False]])) == ["[3, 27]", "[]"]


def test_a_tag_alone_is_a_binary_task():
    task = tags_task().for_column("y_b c")
    assert type(task) is BinaryTask and task.prediction_columns == ["y_b c"]


def test_a_tag_in_no_row_or_in_all_rows_is_refused():
    with pytest.raises(InputError, match="column 'y': the tag 'b c' is in no labeled row; leave"):
        tags_task().check_labels(LABELS * [1, 0], "f.csv")
    with pytest.raises(InputError, match="the tag 'a' is in all 3 labeled rows"):
        tags_task().check_labels(np.maximum(LABELS, [1, 0]), "f.csv")


def test_a_task_without_its_tags_is_refused():
    with pytest.raises(InputError, match=r"tags of tasks.t are not known yet; run make_folds"):
        tags_task(tags=None)
    with pytest.raises(InputError, match="hold their tags is not known yet; run make_folds"):
        tags_task(cell_format=None, separator=None).format_cells(LABELS == 1)
