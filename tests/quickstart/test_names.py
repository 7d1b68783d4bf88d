"""What is read from the names of columns."""

from __future__ import annotations

import pytest

from auxfold.quickstart.names import TEXT_NAMES, is_id_name, matches, name_words, rank_of_name


def test_words_of_a_name_do_not_depend_on_how_it_is_written():
    for name in ("Ticket ID", "ticket_id", "ticketId", "TICKET-ID", "TicketID"):
        assert name_words(name) == ["ticket", "id"] and is_id_name(name)
    assert name_words("sentence1") == ["sentence", "1"] and name_words("评论") == ["评论"]
    assert not is_id_name("idea") and not is_id_name("paid") and is_id_name("ID")


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("Review Text", "review", True), ("review_text", "text", True), ("text", "text", True),
        ("question1", "question", True), ("comment_count", "comment", False),
        ("customer comment", "comment", True), ("comment_text", "comment text", True),
    ],
)  # fmt: skip
def test_a_name_ends_with_a_pattern(name, pattern, expected):
    assert matches(name, pattern) == expected


def test_a_whole_name_ranks_before_one_that_only_ends_so():
    names = ["customer text", "comment_text", "Body", "mood", "text"]
    ranked = [name for name in names if rank_of_name(name, TEXT_NAMES) is not None]
    assert sorted(ranked, key=lambda name: rank_of_name(name, TEXT_NAMES)) == [
        "text", "comment_text", "Body", "customer text"
    ]  # fmt: skip
    assert rank_of_name("mood", TEXT_NAMES) is None
