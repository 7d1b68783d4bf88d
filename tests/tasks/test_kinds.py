"""Every table by kind of task has every kind, and every kind names itself."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from auxfold.config import AnyTask, TaskSettings
from auxfold.report import main_task_plots
from auxfold.tasks import KINDS, create_task

EXTRA_KEYS = {  # the keys that a kind requires
    "multiclass": {"classes": ["a", "b", "c"]},
    "ordinal": {"classes": 3},
    "tags": {"tags": ["a"], "cell_format": "separated", "separator": ";"},
}


def settings_by_kind() -> dict[str, type[TaskSettings]]:
    union, *_ = get_args(AnyTask)
    return {get_args(s.model_fields["kind"].annotation)[0]: s for s in get_args(union)}


def test_every_table_by_kind_has_every_kind():
    kinds = list(KINDS)
    assert list(settings_by_kind()) == kinds
    assert list(main_task_plots._PLOTS) == kinds


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_predictions_give_the_predictions_again(kind):
    settings = settings_by_kind()[kind](
        name="t", kind=kind, columns=["y"], **EXTRA_KEYS.get(kind, {})
    )
    task = create_task(settings)
    assert task.kind == kind and type(task) is KINDS[kind]
    logits = np.random.default_rng(0).normal(size=(5, task.n_outputs))
    predictions = task.activate(logits)
    np.testing.assert_allclose(task.activate(task.to_logits(predictions)), predictions)
    np.testing.assert_allclose(task.normalize(predictions), predictions)
    np.testing.assert_array_equal(
        predictions[:, task.output_slice(0)].squeeze(),
        task.column_predictions(predictions, 0),
    )
    if task.predicts_probabilities:
        assert ((predictions >= 0) & (predictions <= 1)).all()
