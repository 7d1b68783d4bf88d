"""Sources come as often as configured, in mixed or homogeneous steps. The default is unchanged."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from auxfold.config import Train
from auxfold.data.batches import training_steps
from auxfold.data.sampling import allocate_rows, epoch_steps, sample_epoch_indices, steps_per_epoch

KINDS = ("size", "sqrt", "uniform", "temperature")
sizes_strategy = st.lists(st.integers(0, 60), min_size=1, max_size=4).filter(sum)


def make_sources(sizes: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


@pytest.mark.parametrize(
    ("sampling", "temperature", "expected"),
    [
        ("size", 2.0, [900, 100, 0]),
        ("sqrt", 2.0, [750, 250, 0]),  # 30 : 10
        ("uniform", 2.0, [500, 500, 0]),
        ("temperature", 1.0, [900, 100, 0]),
        ("temperature", 2.0, [750, 250, 0]),
        ("temperature", 4.0, [634, 366, 0]),  # 3 ** 0.5 : 1
        ("temperature", 1e9, [500, 500, 0]),
    ],
)
def test_shares_by_hand(sampling, temperature, expected):
    train = Train(sampling=sampling, temperature=temperature)
    assert allocate_rows(train, np.array([900, 100, 0])).tolist() == expected


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(
    sizes=sizes_strategy,
    sampling=st.sampled_from(KINDS),
    temperature=st.floats(1, 50),
    epoch=st.integers(0, 5),
)
def test_an_epoch_has_as_many_rows_as_the_data_each_about_equally_often(
    sizes, sampling, temperature, epoch
):
    train = Train(sampling=sampling, temperature=temperature)
    sources = make_sources(sizes)
    counts = allocate_rows(train, np.array(sizes))
    assert counts.sum() == sum(sizes) and not counts[np.array(sizes) == 0].any()
    shares = np.array([n ** {"size": 1, "sqrt": 0.5, "uniform": 0}.get(sampling, 1 / temperature)
                       if n else 0 for n in sizes], dtype=float)  # fmt: skip
    assert np.abs(counts - sum(sizes) * shares / shares.sum()).max() < 1 + 1e-6
    repeats = np.bincount(sample_epoch_indices(train, sources, 3, epoch), minlength=len(sources))
    for source, count in enumerate(counts):
        source_repeats = repeats[sources == source]
        assert source_repeats.sum() == count
        assert len(source_repeats) == 0 or source_repeats.max() - source_repeats.min() <= 1
    if sampling == "size":
        assert (repeats == 1).all()


def test_over_the_epochs_every_row_of_a_large_source_comes_equally_often():
    train, sources = Train(sampling="uniform"), make_sources([90, 10])
    epochs = [sample_epoch_indices(train, sources, 7, epoch) for epoch in range(9)]
    repeats = sum(np.bincount(indices, minlength=100) for indices in epochs)
    assert set(repeats[sources == 0]) == {5} and set(repeats[sources == 1]) == {45}
    first, second = (set(indices[sources[indices] == 0]) for indices in epochs[:2])
    assert len(first & second) == 10, "50 of 90 rows, then the other 40 and 10 again"


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    sizes=sizes_strategy,
    sampling=st.sampled_from(KINDS),
    batch=st.integers(1, 9),
    window=st.integers(1, 4),
)
def test_homogeneous_steps_hold_one_source_and_all_sampled_rows(sizes, sampling, batch, window):
    sources = make_sources(sizes)
    lengths = np.random.default_rng(1).integers(2, 50, len(sources))
    train = Train(
        sampling=sampling, batches="homogeneous", batch_size=batch, length_bucket_steps=window
    )
    steps = epoch_steps(lengths, sources, train, 5, 2)
    assert all(len(set(sources[step])) == 1 and 0 < len(step) <= batch for step in steps)
    assert sorted(np.concatenate(steps)) == sample_epoch_indices(train, sources, 5, 2).tolist()
    assert len(steps) == steps_per_epoch(train, len(sources), sources)
    assert sum(len(s) < batch for s in steps) <= len(set(sources)), "one smaller step per source"


@pytest.mark.parametrize("batches", ["mixed", "homogeneous"])
@pytest.mark.parametrize("sampling", KINDS)
def test_steps_are_reproducible_and_differ_between_epochs_and_seeds(batches, sampling):
    sources, lengths = make_sources([70, 30]), np.arange(100) % 17 + 2
    train = Train(batches=batches, sampling=sampling, batch_size=8, length_bucket_steps=3)

    def flat(seed: int, epoch: int) -> list[int]:
        steps = epoch_steps(lengths, sources, train, seed, epoch)
        assert len(steps) == steps_per_epoch(train, 100, sources)
        return np.concatenate(steps).tolist()

    assert flat(1, 0) == flat(1, 0)
    assert flat(1, 0) != flat(1, 1) and flat(1, 0) != flat(2, 0)


def test_homogeneous_steps_of_the_sources_alternate_and_are_sorted_by_length_within():
    sources, lengths = make_sources([400, 400]), np.random.default_rng(2).integers(2, 200, 800)
    train = Train(batches="homogeneous", batch_size=8, length_bucket_steps=50)
    steps = epoch_steps(lengths, sources, train, 0, 0)
    changes = np.diff([sources[step[0]] for step in steps]) != 0
    assert 30 < changes.sum() < 70
    assert np.mean([np.ptp(lengths[step]) for step in steps]) < 10


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=200),
    batch=st.integers(1, 16),
    seed=st.integers(0, 99),
)
def test_by_default_the_steps_are_those_of_one_source(lengths, batch, seed):
    lengths = np.array(lengths)
    train = Train(batch_size=batch, length_bucket_steps=3)
    expected = training_steps(lengths, batch, 3, seed, 1)
    for sources in (None, np.arange(len(lengths)) % 3):
        steps = epoch_steps(lengths, sources, train, seed, 1)
        assert len(steps) == len(expected) == steps_per_epoch(train, len(lengths), sources)
        assert all((a == b).all() for a, b in zip(steps, expected, strict=True))


def test_the_order_of_one_source_never_changes():
    """A newer version resumes a training with exactly the same rows."""
    steps = training_steps(np.arange(20) % 7 + 2, 4, 2, seed=42, epoch=1)
    assert [step.tolist() for step in steps] == [
        [15, 17, 5, 13], [10, 4, 18, 19], [2, 11, 12, 6], [7, 0, 1, 9], [14, 8, 16, 3]
    ]  # fmt: skip


# ---- sampled negatives


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(
    sizes=sizes_strategy,
    share=st.sampled_from([0.1, 1 / 3, 0.5, 0.75]),
    rate=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    batches=st.sampled_from(["mixed", "homogeneous"]),
)
def test_negatives_come_to_their_share_and_over_the_epochs_equally_often(
    sizes, share, rate, batches
):
    sources, random = make_sources(sizes), np.random.default_rng(sum(sizes))
    negatives = random.random(len(sources)) < rate
    train = Train(negative_sample_rate=share, batches=batches, batch_size=7, length_bucket_steps=2)
    lengths = random.integers(2, 50, len(sources))
    total_repeats = np.zeros(len(sources), dtype=int)
    for epoch in range(12):
        steps = epoch_steps(lengths, sources, train, 3, epoch, negatives)
        assert len(steps) == steps_per_epoch(train, len(sources), sources, negatives)
        repeats = np.bincount(np.concatenate(steps), minlength=len(sources))
        assert (repeats[~negatives] == 1).all() and repeats.max() == 1
        for source in range(len(sizes)):
            mask = negatives & (sources == source)
            assert repeats[mask].sum() == int(np.ceil(share * mask.sum() - 1e-9))
        total_repeats += repeats
        for source in range(len(sizes)):
            source_repeats = total_repeats[negatives & (sources == source)]
            assert len(source_repeats) == 0 or source_repeats.max() - source_repeats.min() <= 1
    if batches == "homogeneous":
        assert all(len(set(sources[step])) == 1 for step in steps)


def test_with_one_half_the_next_epoch_has_the_other_half():
    negatives, lengths = np.arange(101) < 80, np.full(101, 5)
    train = Train(negative_sample_rate=0.5, batch_size=8)
    epochs = [np.concatenate(epoch_steps(lengths, None, train, 1, e, negatives)) for e in range(3)]
    first, second, third = (set(indices[negatives[indices]]) for indices in epochs)
    assert first == third and not first & second and len(first | second) == 80
    assert [len(indices) for indices in epochs] == [61, 61, 61]
    other = np.concatenate(epoch_steps(lengths, None, train, 2, 0, negatives))
    assert set(other[negatives[other]]) != first, "another seed, other rows"


def test_a_whole_share_changes_nothing():
    lengths = np.arange(30) % 7 + 2
    train, negatives = Train(negative_sample_rate=1.0, batch_size=4), np.arange(30) < 20
    steps = epoch_steps(lengths, None, train, 1, 0, negatives)
    expected = training_steps(lengths, 4, train.length_bucket_steps, 1, 0)
    assert [step.tolist() for step in steps] == [step.tolist() for step in expected]
