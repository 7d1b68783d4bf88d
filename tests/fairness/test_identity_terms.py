"""Identity flags from a list of terms: whole words, any case, any white space."""

from __future__ import annotations

import pytest

from auxfold.errors import InputError
from auxfold.fairness.identity_terms import flag_terms, read_terms


def test_a_line_is_an_identity_with_one_word_or_several(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("\ufeffgay\n\n  deaf , hard  of hearing,\nc++\n", encoding="utf-8")
    terms = read_terms(str(path))
    assert terms == {"gay": ["gay"], "deaf": ["deaf", "hard of hearing"], "c++": ["c++"]}
    texts = [
        "GAY",
        "gayle, gays, ungay",
        "a\nhard\tof\nhearing man",
        "c++!",
        "c",
        "deafening",
        "d3af",
    ]
    flags = flag_terms([texts], terms)
    assert flags.dtype == "float32"
    assert flags.T.tolist() == [
        [1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]
    ]  # fmt: skip


def test_either_text_of_a_pair_counts_but_no_term_goes_over_both():
    flags = flag_terms([["old", "middle", "x"], ["x", "aged", "OLD"]],
                       {"old": ["old"], "middle aged": ["middle aged"]})  # fmt: skip
    assert flags[:, 0].tolist() == [1, 0, 1]
    assert not flags[:, 1].any()


def test_unusable_lists_are_refused(tmp_path):
    path = tmp_path / "t.txt"
    for content, expected in (
        ("\n ,\n", "holds no term"),
        ("a\nb\na, c\n", "line 3: .*'a' is"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=expected):
            read_terms(str(path))
    with pytest.raises(InputError, match="cannot be read as a list of terms"):
        read_terms(str(tmp_path))
