"""What the name of a column says about it."""

from __future__ import annotations

import re

# From the most to the least telling name of a text.
TEXT_NAMES = (
    "text", "full text", "comment text", "comment", "content", "body", "sentence", "tweet",
    "review", "message", "sms", "post", "document", "article", "essay", "utterance", "query",
    "question", "description", "abstract", "complaint", "feedback", "title", "headline", "subject",
    "文本", "内容", "评论", "句子", "本文", "テキスト", "レビュー", "텍스트", "리뷰",
)  # fmt: skip
# Two texts that belong together, in the order in which they are read.
PAIRS = (
    ("premise", "hypothesis"), ("query", "document"), ("query", "passage"), ("query", "title"),
    ("query", "product"), ("question", "answer"), ("question", "context"), ("claim", "evidence"),
    ("context", "response"), ("prompt", "response"), ("prompt", "completion"),
    ("anchor", "positive"), ("parent", "comment"), ("parent", "reply"), ("comment", "reply"),
    ("tweet", "reply"), ("post", "reply"), ("post", "comment"),
    *(
        (first, second)
        for first in ("subject", "title", "headline", "summary")
        for second in (
            "body", "description", "text", "selftext", "content", "message", "review", "comment",
            "abstract", "article", "details",
        )
    ),
)  # fmt: skip
# Labels, by how surely a column of that name is what matters. Equal ones are asked about.
MAIN_NAMES = (
    ("target", "label", "labels", "gold label", "y"),
    ("class", "sentiment", "stance", "toxicity", "toxic", "rating", "stars", "score", "category",
     "emotion", "emotions", "intent", "tags", "topic"),
)  # fmt: skip
ORDERED = {"rating", "ratings", "star", "stars", "score", "scores", "grade", "level", "severity"}
SPLIT_NAMES = {"split", "set", "subset", "partition", "part", "fold", "dataset"}
ID_WORDS = {"id", "ids", "uid", "uuid", "guid", "key"}
NO_LABEL_WORDS = {
    *ID_WORDS, "index", "idx", "count", "counts", "n", "num", "number", "no", "nr", "date", "year",
    "month", "day", "time", "timestamp", "created", "updated", "weight", "weights", "votes",
    "likes", "retweets", "annotators", "annotator", "worker", "url", "link", "fold", "confidence",
    "judgments",
}  # fmt: skip
COUNT_WORDS = {"n", "num", "number", "count"}  # as first words
# Columns about the writer or the place, which are no texts although they hold several words.
NO_TEXT_WORDS = {
    *NO_LABEL_WORDS, "name", "author", "user", "username", "reviewer", "email", "phone", "city",
    "country", "location", "address", "file", "filename", "path",
}  # fmt: skip
COPY_WORDS = {
    "id", "ids", "num", "number", "idx", "index", "code", "int", "encoded", "name", "str", "string",
    "text", "label", "class",
}  # fmt: skip
VOTE_WORDS = {"vote", "votes", "count", "counts", "n", "num", "annotators", "annotations"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


def name_words(name: str) -> list[str]:
    """The words of a name in lower case: ``Ticket ID``, ``ticket_id`` and ``ticketId`` are equal.

    Several capitals in front of a word, such as in ``IDNumber``, are not taken apart.
    """
    return [word.lower() for word in _WORD.findall(name)]


def matches(name: str, pattern: str) -> bool:
    """Whether a name is the pattern, or ends with it; a number or the word "text" may follow."""
    words, expected = name_words(name), pattern.split()
    while words and (words[-1].isdecimal() or (words[-1] == "text" and pattern != "text")):
        if words == expected:
            return True
        words = words[:-1]
    return words[-len(expected) :] == expected


def has_word(name: str, words: set[str]) -> bool:
    """Whether one of the name's words is among ``words``."""
    return not words.isdisjoint(name_words(name))


def is_id_name(name: str) -> bool:
    """Whether a name starts or ends with "id" or another word for it."""
    words = name_words(name)
    return bool(words) and (words[-1] in ID_WORDS or words[0] == "id")


def rank_of_name(name: str, patterns: tuple[str, ...]) -> int | None:
    """The position of the first pattern that is the whole name, else that the name ends with.

    A whole name ranks before all others. None where no pattern matches.
    """
    whole = " ".join(name_words(name))
    if whole in patterns:
        return patterns.index(whole)
    return next((len(patterns) + i for i, p in enumerate(patterns) if matches(name, p)), None)
