"""A generated, inoffensive competition in the format of Jigsaw Unintended Bias 2019.

No comment here was written by a person and no word is a slur: what plays the part of toxicity
are words such as "silly goose", "fnarg" or "I will hide your umbrella". The labels behave like
the real ones: shares of annotators, noisy, mostly zero, identities known for a quarter of the
rows, and toxic more often where some identities are mentioned, so a bias metric finds something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from auxfold.datasets.sample_words import (
    BIASED,
    CIVIL,
    IDENTITIES,
    KIND,
    MENTIONS,
    MILD,
    NEVER_ATTACKED,
    SCORED,
    SPECIALS,
    TOXIC,
    TOXIC_WEIGHTS,
    WORDS,
)
from auxfold.errors import InputError
from auxfold.storage.atomic import write_frame, write_text

SUBTYPES = ("severe_toxicity", "obscene", "identity_attack", "insult", "threat")
ACTIVITY = ("created_date", "publication_id", "parent_id", "article_id", "rating",
            "funny", "wow", "sad", "likes", "disagree")  # fmt: skip
COUNTS = ("identity_annotator_count", "toxicity_annotator_count")
TRAIN_COLUMNS = ("id", "target", "comment_text", *SUBTYPES, *IDENTITIES, *ACTIVITY,
                 "sexual_explicit", *COUNTS)  # fmt: skip
TEST_LABEL_COLUMNS = ("id", "toxicity", *SUBTYPES, *IDENTITIES, "sexual_explicit", *COUNTS)
MARKER = "GENERATED.txt"
FIRST_ID = 59_848
LEAST_ROWS, LEAST_TEST_ROWS = 100, 10

CIVIL_RATE = 0.01  # share of annotators who mind a civil comment
ODD_ROWS = 0.012  # share of rows whose annotators were in an odd mood: noise no model can learn


@dataclass(frozen=True)
class Comment:
    """One text with what is behind its labels: who is mentioned, what kinds, how bad."""

    text: str
    rate: float
    kinds: tuple[str, ...] = ()
    mentioned: tuple[str, ...] = ()


def _pick(rng: np.random.Generator, items):
    """One of ``items``, each as likely."""
    return items[int(rng.integers(len(items)))]


def _fill(rng: np.random.Generator, template: str, who: str = "") -> str:
    """The template with every ``{name}`` replaced by a random word of that list."""

    def word(match: re.Match) -> str:
        return str(rng.integers(3, 900)) if match[1] == "n" else _pick(rng, WORDS[match[1]])

    text = re.sub(r"\{(\w+)\}", word, template.replace("{who}", who))
    return text[0].upper() + text[1:]


def _mentioned(rng: np.random.Generator) -> tuple[str, ...]:
    """No identity for most texts, otherwise one or two, the scored ones more often."""
    if rng.random() >= 0.35:
        return ()
    names = list(IDENTITIES)
    weights = np.array([5.0 if name in SCORED else 1.0 for name in names])
    size = 1 if rng.random() < 0.85 else 2
    drawn = rng.choice(len(names), size=size, replace=False, p=weights / weights.sum())
    return tuple(names[i] for i in drawn)


def _kinds(rng: np.random.Generator, mentioned: tuple[str, ...]) -> tuple[str, ...]:
    """One or two kinds of toxicity; an identity attack needs somebody it may be about."""
    drawn = rng.choice(list(TOXIC), size=1 + int(rng.random() < 0.3), replace=False,
                       p=TOXIC_WEIGHTS)  # fmt: skip
    open_to_it = any(name not in NEVER_ATTACKED for name in mentioned)
    # Those who cannot be grumbled at: the grumble goes to the other commenter instead.
    kinds = ["insult" if k == "identity_attack" and not open_to_it else str(k) for k in drawn]
    if open_to_it and rng.random() < 0.25:
        kinds.append("identity_attack")
    return tuple(dict.fromkeys(kinds))


def _tone(rng: np.random.Generator, mentioned: tuple[str, ...]):
    """What the text is (sentences, latent rate, kinds); biased identities are toxic more often."""
    toxic = 0.30 if set(mentioned) & set(BIASED) else 0.085
    draw = rng.random()
    if draw < toxic:
        kinds = _kinds(rng, mentioned)
        spared = [name for name in mentioned if name not in NEVER_ATTACKED]
        who = _pick(rng, IDENTITIES[spared[0]]) if spared else ""
        sentences = [_fill(rng, _pick(rng, TOXIC[kind]), who) for kind in kinds]
        return sentences, float(rng.uniform(0.65, 0.97)), kinds
    if draw < toxic + 0.13:
        return [_fill(rng, _pick(rng, MILD))], float(rng.uniform(0.05, 0.35)), ("insult",)
    if draw < toxic + 0.20:
        return [_fill(rng, _pick(rng, KIND))], 0.06, ()
    return [], CIVIL_RATE, ()


def _comment(rng: np.random.Generator, long: bool = False) -> Comment:
    """A comment made from the templates; a long one keeps what it has to say for its end."""
    mentioned = _mentioned(rng)
    tone, rate, kinds = _tone(rng, mentioned)
    sentences = [_fill(rng, _pick(rng, CIVIL)) for _ in range(int(rng.integers(1, 5)))]
    while long and sum(map(len, sentences)) < 2000:
        sentences.append(_fill(rng, _pick(rng, CIVIL)))
    for name in mentioned:
        who = _pick(rng, IDENTITIES[name])
        sentences.append(_fill(rng, _pick(rng, MENTIONS), who))
    sentences = sentences + tone
    if not long:
        sentences = [sentences[i] for i in rng.permutation(len(sentences))]
    text = ("\n\n" if rng.random() < 0.08 else " ").join(sentences)
    look = rng.random()
    if look < 0.06:
        text = text.lower()
    elif look < 0.10:
        text += _pick(rng, (" 🙂", " 🚂🚂", " &amp; so on", " https://example.org/minutes/7", " "))
    return Comment(text, rate, kinds, mentioned)


def _near(rng: np.random.Generator, comment: Comment) -> Comment:
    """The same comment with other case, punctuation or white space."""
    text = comment.text
    looks = (text.upper(), text.lower(), text.replace(".", ""), text.replace(" ", "  "), text + " ")
    other = _pick(rng, [look for look in (*looks, text + "!!") if look != text])
    return Comment(other, comment.rate, comment.kinds, comment.mentioned)


def _comments(rng: np.random.Generator, rows: int) -> list[Comment]:
    """``rows`` comments in random order: special, long, ordinary, repeated, nearly repeated."""
    special = [Comment(text, rate) for text, rate in SPECIALS[: rows // 2]]
    repeats = max(1, rows * 3 // 100)
    fresh = rows - len(special) - 2 * repeats
    made = [_comment(rng, long=i < max(1, rows // 100)) for i in range(fresh)]
    exact = [_pick(rng, made) for _ in range(repeats)]
    near = [_near(rng, _pick(rng, made)) for _ in range(repeats)]
    everything = special + made + exact + near
    return [everything[i] for i in rng.permutation(rows)]


def _share(marks: np.ndarray, annotators: np.ndarray) -> np.ndarray:
    """The share of annotators who marked a row, in few enough digits to be read."""
    return np.round(marks / annotators, 10)


def _toxicity(rng: np.random.Generator, comments: list[Comment]) -> dict[str, np.ndarray]:
    """Target and subtypes; who marks a subtype also marked the row, so no subtype exceeds it."""
    rows = len(comments)
    annotators = rng.integers(4, 13, rows)
    annotators = np.where(rng.random(rows) < 0.05, rng.integers(30, 400, rows), annotators)
    rates = np.array([comment.rate for comment in comments])
    rates = np.where(rng.random(rows) < ODD_ROWS, rng.uniform(0.05, 0.8, rows), rates)
    marks = rng.binomial(annotators, rng.beta(rates * 12, (1 - rates) * 12))
    columns = {"target": _share(marks, annotators), "toxicity_annotator_count": annotators}
    for kind in (*SUBTYPES, "sexual_explicit"):
        meant = np.array([kind in comment.kinds for comment in comments])
        if kind == "severe_toxicity":  # has no words of its own: several kinds at once
            chance = np.where([len(comment.kinds) > 1 for comment in comments], 0.25, 0.03)
        else:
            chance = np.where(meant, 0.8, 0.04)
        columns[kind] = _share(rng.binomial(marks, chance), annotators)
    return columns


def _identities(rng: np.random.Generator, comments: list[Comment]) -> dict[str, np.ndarray]:
    """Shares for the quarter of the rows that were shown to identity annotators, else empty."""
    rows = len(comments)
    seen = rng.random(rows) < np.where([bool(c.mentioned) for c in comments], 0.55, 0.09)
    annotators = np.where(seen, rng.integers(4, 11, rows), 0)
    columns = {"identity_annotator_count": annotators}
    for name in IDENTITIES:
        chance = np.where([name in comment.mentioned for comment in comments], 0.92, 0.005)
        marks = rng.binomial(annotators, chance)
        columns[name] = np.where(seen, _share(marks, np.maximum(annotators, 1)), np.nan)
    return columns


def _activity(rng: np.random.Generator, target: np.ndarray) -> dict[str, object]:
    """The columns about the article and the readers' reactions; they carry little signal."""
    rows = len(target)
    when = pd.Timestamp("2015-09-29") + pd.to_timedelta(rng.integers(0, 66_000_000, rows), unit="s")
    parent = np.where(rng.random(rows) < 0.43, np.nan, rng.integers(60_000, 6_000_000, rows))
    rejected = rng.random(rows) < 0.02 + 0.3 * target
    columns = {
        "created_date": when.strftime("%Y-%m-%d %H:%M:%S.000000+00"),
        "publication_id": rng.integers(2, 110, rows),
        "parent_id": parent,
        "article_id": rng.integers(2_006, 400_000, rows),
        "rating": np.where(rejected, "rejected", "approved"),
    }
    for name, mean in (("funny", 0.3), ("wow", 0.05), ("sad", 0.1), ("likes", 2.5)):
        columns[name] = rng.poisson(mean, rows)
    return columns | {"disagree": rng.poisson(0.4 + target, rows)}


def _table(rng: np.random.Generator, rows: int, first_id: int) -> pd.DataFrame:
    """All columns of one split; ids are unique, in no order, and below ``first_id + 4 * rows``."""
    comments = _comments(rng, rows)
    columns = {"id": first_id + rng.choice(4 * rows, rows, replace=False)}
    columns |= {"comment_text": [comment.text for comment in comments]}
    columns |= _toxicity(rng, comments) | _identities(rng, comments)
    return pd.DataFrame(columns | _activity(rng, columns["target"]))[list(TRAIN_COLUMNS)]


def build_sample(rows: int, test_rows: int, seed: int) -> dict[str, pd.DataFrame]:
    """The four tables by file name; the test part does not depend on the number of train rows."""
    for option, value, least in (("--rows", rows, LEAST_ROWS), ("--seed", seed, 0),
                                 ("--test-rows", test_rows, LEAST_TEST_ROWS)):  # fmt: skip
        if value < least:
            raise InputError(f"{option} must be {least} or more, got {value}")
    train = _table(np.random.default_rng([seed, 0]), rows, FIRST_ID)
    # Test ids begin at seven million as in the real files, and never below the last train id.
    first = max(7_000_000, FIRST_ID + 4 * rows)
    test = _table(np.random.default_rng([seed, 1]), test_rows, first)
    return {
        "train.csv": train,
        "test.csv": test[["id", "comment_text"]],
        "sample_submission.csv": test[["id"]].assign(prediction=0.0),
        "test_labels.csv": test.rename(columns={"target": "toxicity"})[list(TEST_LABEL_COLUMNS)],
    }


def write_sample(folder: Path, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Write the tables to ``folder``; refuses where it would replace files it did not make."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = [name for name in tables if (folder / name).exists()]
        if taken and not (folder / MARKER).exists():
            # train.csv there may be the real competition's, which takes long to download again.
            raise InputError(f"{folder / taken[0]} exists and is not a generated sample; "
                             "give another folder with --output")  # fmt: skip
        write_text(folder / MARKER, "Generated by scripts/make_sample.py; no comment is real.\n")
        for name, table in tables.items():
            write_frame(folder / name, table)
    except OSError as error:
        raise InputError(f"cannot write the sample to {folder}: {error}") from error
    return [folder / name for name in tables]
