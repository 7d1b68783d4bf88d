"""The mean of weights, by hand."""

from __future__ import annotations

import torch

from auxfold.model.averaging import average_states


def test_floats_are_averaged_and_other_numbers_are_the_last_ones():
    states = [{"w": torch.tensor([3.0 * n, 1.0, n * n]), "n": torch.tensor(n)} for n in range(4)]
    mean = average_states(iter(states))
    assert mean["w"].tolist() == [4.5, 1.0, 3.5] and int(mean["n"]) == 3


def test_one_state_is_its_own_mean():
    state = {"w": torch.tensor([0.1, -7.0])}
    assert average_states([state])["w"].tolist() == torch.tensor([0.1, -7.0]).tolist()
    assert average_states([]) == {}
