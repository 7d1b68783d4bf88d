"""The bias metric equals that of the kernel, subset by subset, and nothing undefined spreads."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auxfold.fairness.jigsaw_bias import jigsaw_bias, power_mean
from benchmarks.bias import kernel_bias

NAN = float("nan")


def assert_equals_the_kernel(labels, scores, identities, names) -> None:
    """All parts equal those of the kernel to 1e-12; they are None where the kernel has NaN."""
    metrics = jigsaw_bias(labels, scores, identities, names).metrics()
    for part, expected in kernel_bias(labels, scores, identities, names).items():
        value = metrics[f"jigsaw_bias/{part}"]
        if np.isnan(expected):
            assert value is None, part
        else:
            assert value == pytest.approx(expected, abs=1e-12, rel=0), part
    assert len(metrics) == 5 + 3 * len(names)


def random_rows(n_rows: int, seed: int, digits: int = 12, rate: float = 0.3):
    random = np.random.default_rng(seed)
    labels, scores = random.random(n_rows) ** 2, np.round(random.random(n_rows), digits)
    has_identity = random.random((n_rows, 9)) < 0.4
    identities = np.where(has_identity, random.random((n_rows, 9)) + rate - 0.5, 0)
    identities = np.where(random.random((n_rows, 1)) < 0.5, NAN, np.clip(identities, 0, 1))
    return labels, scores, identities.astype(np.float32), [f"i{n}" for n in range(9)]


@pytest.mark.parametrize("digits", [12, 2, 0])
def test_equals_the_kernel_on_random_rows_with_and_without_ties(digits):
    for seed in range(5):
        assert_equals_the_kernel(*random_rows(3_000, seed, digits))


def test_equals_the_kernel_on_single_precision_scores_and_missing_labels():
    labels, scores, identities, names = random_rows(3_000, 0)
    labels[::7] = NAN
    assert_equals_the_kernel(
        labels.astype(np.float32), scores.astype(np.float32), identities, names
    )


def test_equals_the_kernel_on_rows_from_the_edges():
    """Constant, perfect, huge and tiny scores, labels on the boundary, only one class."""
    labels, scores, identities, names = random_rows(400, 1)
    for odd in (
        np.zeros(400), labels, -labels, np.where(scores > 0.5, 1e300, -1e300), scores * 1e-300,
    ):  # fmt: skip
        assert_equals_the_kernel(labels, odd, identities, names)
    assert_equals_the_kernel(
        np.where(labels > 0.3, 0.5, np.nextafter(0.5, 0)), scores, identities, names
    )
    assert_equals_the_kernel(np.zeros(400), scores, identities, names)
    assert_equals_the_kernel(labels, scores, np.full((400, 9), NAN), names)
    assert_equals_the_kernel(labels, scores, np.ones((400, 9)), names)
    assert_equals_the_kernel(labels, scores, identities[:, :0], [])
    assert_equals_the_kernel(labels[:0], scores[:0], identities[:0], names)
    assert_equals_the_kernel(labels[:1], scores[:1], identities[:1], names)


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(st.data(), st.integers(1, 14))
def test_equals_the_kernel_on_anything(data, rows):
    few = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    maybe = few | st.just(NAN)
    labels = data.draw(hnp.arrays(np.float64, rows, elements=maybe))
    scores = data.draw(hnp.arrays(np.float64, rows, elements=few))
    identities = data.draw(hnp.arrays(np.float32, (rows, 3), elements=maybe))
    assert_equals_the_kernel(labels, scores, identities, ["a", "b", "c"])


def test_by_hand():
    """Subgroup: 1 positive at .6, negatives at .7, .6; background: positive .8, negative .6."""
    labels = np.array([0.5, 0.49, 0.0, 1.0, 0.2])
    scores = np.array([0.6, 0.7, 0.6, 0.8, 0.6])
    flags = np.array([[0.5], [1.0], [0.7], [0.49], [NAN]])
    bias = jigsaw_bias(labels, scores, flags, ["x"])
    (areas,) = bias.identities
    assert (areas.rows, areas.positive, bias.rows, bias.positive) == (3, 1, 5, 2)
    assert areas.subgroup == (0 + 0.5) / 2
    assert areas.bpsn == 1.0
    assert areas.bnsp == 0.5
    assert bias.overall == (3 + 0 + 0.5 + 0.5) / 6
    assert bias.score == pytest.approx((bias.overall + 0.25 + 1.0 + 0.5) / 4, abs=1e-15)


def test_a_power_mean_is_ruled_by_the_worst_and_survives_zero():
    assert power_mean([0.5, 0.9]) == pytest.approx(((0.5**-5 + 0.9**-5) / 2) ** -0.2, abs=1e-15)
    assert power_mean([0.0, 1.0]) == 0.0
    assert power_mean([1e-80, 1.0]) == pytest.approx(1e-80 * 2**0.2)
    assert power_mean([None, 0.7]) == pytest.approx(0.7, abs=1e-15)
    assert power_mean([None]) is None and power_mean([]) is None


def test_an_identity_without_positive_rows_is_left_out_of_the_means():
    labels, scores, identities, names = random_rows(2_000, 3)
    identities[labels >= 0.5, 4] = 0
    bias = jigsaw_bias(labels, scores, identities, names)
    assert bias.identities[4].subgroup is None and bias.identities[4].bnsp is None
    assert bias.identities[4].bpsn is not None and bias.identities[4].positive == 0
    others = np.delete(np.arange(9), 4)
    rest = jigsaw_bias(labels, scores, identities[:, others], [names[i] for i in others])
    assert (bias.subgroup, bias.bnsp) == (rest.subgroup, rest.bnsp)
    assert bias.score is not None


def test_a_nan_prediction_makes_all_areas_undefined_rather_than_wrong():
    labels, scores, identities, names = random_rows(200, 0)
    scores[17] = NAN
    bias = jigsaw_bias(labels, scores, identities, names)
    assert set(bias.metrics().values()) == {None}
    assert bias.identities[0].rows == int((identities[:, 0] >= 0.5).sum())
    labels[17] = NAN  # a row without a label does not count
    assert jigsaw_bias(labels, scores, identities, names).score is not None
