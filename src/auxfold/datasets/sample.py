"""A generated, inoffensive competition in the format of Jigsaw Unintended Bias 2019.

No person wrote any of its comments, and no word is a slur. Words such as "silly goose", "fnarg" or
"I will hide your umbrella" stand for toxicity. The labels behave like the real ones: they are
noisy shares of annotators and mostly zero, and identities are annotated in a quarter of the rows.
Comments that mention certain identities are toxic more often, so that a bias metric detects it.
"""

from __future__ import annotations

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
from auxfold.datasets.templates import fill, pick
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
MIN_ROWS, MIN_TEST_ROWS = 100, 10

CIVIL_RATE = 0.01  # share of annotators who find a civil comment toxic
NOISY_ROWS = 0.012  # share of rows with random toxicity: noise that no model can learn


@dataclass(frozen=True)
class Comment:
    """One text and the causes of its labels.

    Attributes:
        text: the comment.
        rate: the expected share of annotators who find it toxic.
        kinds: the kinds of its toxicity, as names of subtypes.
        identities: the identities that it mentions.
    """

    text: str
    rate: float
    kinds: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()


def _fill(rng: np.random.Generator, template: str, who: str = "") -> str:
    return fill(rng, template, WORDS, who)


def _sample_identities(rng: np.random.Generator) -> tuple[str, ...]:
    """No identity for most texts, otherwise one or two. Scored identities are more likely."""
    if rng.random() >= 0.35:
        return ()
    names = list(IDENTITIES)
    weights = np.array([5.0 if name in SCORED else 1.0 for name in names])
    size = 1 if rng.random() < 0.85 else 2
    indices = rng.choice(len(names), size=size, replace=False, p=weights / weights.sum())
    return tuple(names[i] for i in indices)


def _sample_kinds(rng: np.random.Generator, identities: tuple[str, ...]) -> tuple[str, ...]:
    """One or two kinds of toxicity. An identity attack needs an identity that may be attacked."""
    sampled = rng.choice(list(TOXIC), size=1 + int(rng.random() < 0.3), replace=False,
                         p=TOXIC_WEIGHTS)  # fmt: skip
    attackable = any(name not in NEVER_ATTACKED for name in identities)
    # Without one, the attack becomes an insult of the other commenter.
    kinds = [
        "insult" if kind == "identity_attack" and not attackable else str(kind) for kind in sampled
    ]
    if attackable and rng.random() < 0.25:
        kinds.append("identity_attack")
    return tuple(dict.fromkeys(kinds))


def _sample_tone(
    rng: np.random.Generator, identities: tuple[str, ...]
) -> tuple[list[str], float, tuple[str, ...]]:
    """Sentences, toxicity rate and kinds. Texts with biased identities are toxic more often."""
    toxic = 0.30 if set(identities) & set(BIASED) else 0.085
    draw = rng.random()
    if draw < toxic:
        kinds = _sample_kinds(rng, identities)
        attackable = [name for name in identities if name not in NEVER_ATTACKED]
        who = pick(rng, IDENTITIES[attackable[0]]) if attackable else ""
        sentences = [_fill(rng, pick(rng, TOXIC[kind]), who) for kind in kinds]
        return sentences, float(rng.uniform(0.65, 0.97)), kinds
    if draw < toxic + 0.13:
        return [_fill(rng, pick(rng, MILD))], float(rng.uniform(0.05, 0.35)), ("insult",)
    if draw < toxic + 0.20:
        return [_fill(rng, pick(rng, KIND))], 0.06, ()
    return [], CIVIL_RATE, ()


def _sample_comment(rng: np.random.Generator, long: bool = False) -> Comment:
    """A comment from the templates. In a long one, the toxic sentences come last."""
    identities = _sample_identities(rng)
    tone, rate, kinds = _sample_tone(rng, identities)
    sentences = [_fill(rng, pick(rng, CIVIL)) for _ in range(int(rng.integers(1, 5)))]
    while long and sum(map(len, sentences)) < 2000:
        sentences.append(_fill(rng, pick(rng, CIVIL)))
    for name in identities:
        who = pick(rng, IDENTITIES[name])
        sentences.append(_fill(rng, pick(rng, MENTIONS), who))
    sentences = sentences + tone
    if not long:
        sentences = [sentences[i] for i in rng.permutation(len(sentences))]
    text = ("\n\n" if rng.random() < 0.08 else " ").join(sentences)
    style = rng.random()
    if style < 0.06:
        text = text.lower()
    elif style < 0.10:
        text += pick(rng, (" 🙂", " 🚂🚂", " &amp; so on", " https://example.org/minutes/7", " "))
    return Comment(text, rate, kinds, identities)


def _near_duplicate(rng: np.random.Generator, comment: Comment) -> Comment:
    """The same comment with different case, punctuation or white space."""
    text = comment.text
    variants = (
        text.upper(),
        text.lower(),
        text.replace(".", ""),
        text.replace(" ", "  "),
        text + " ",
        text + "!!",
    )
    variant = pick(rng, [variant for variant in variants if variant != text])
    return Comment(variant, comment.rate, comment.kinds, comment.identities)


def _sample_comments(rng: np.random.Generator, n_rows: int) -> list[Comment]:
    """``n_rows`` comments in random order: special, long, ordinary, duplicate, near-duplicate."""
    special = [Comment(text, rate) for text, rate in SPECIALS[: n_rows // 2]]
    n_duplicates = max(1, n_rows * 3 // 100)
    n_new = n_rows - len(special) - 2 * n_duplicates
    new = [_sample_comment(rng, long=i < max(1, n_rows // 100)) for i in range(n_new)]
    duplicates = [pick(rng, new) for _ in range(n_duplicates)]
    near = [_near_duplicate(rng, pick(rng, new)) for _ in range(n_duplicates)]
    comments = special + new + duplicates + near
    return [comments[i] for i in rng.permutation(n_rows)]


def _share(marks: np.ndarray, annotators: np.ndarray) -> np.ndarray:
    """The share of annotators who marked a row, rounded to a readable number of digits."""
    return np.round(marks / annotators, 10)


def _toxicity(rng: np.random.Generator, comments: list[Comment]) -> dict[str, np.ndarray]:
    """Target and subtypes. Whoever marks a subtype also marks the target, which is never less."""
    n_rows = len(comments)
    annotators = rng.integers(4, 13, n_rows)
    annotators = np.where(rng.random(n_rows) < 0.05, rng.integers(30, 400, n_rows), annotators)
    rates = np.array([comment.rate for comment in comments])
    rates = np.where(rng.random(n_rows) < NOISY_ROWS, rng.uniform(0.05, 0.8, n_rows), rates)
    marks = rng.binomial(annotators, rng.beta(rates * 12, (1 - rates) * 12))
    columns = {"target": _share(marks, annotators), "toxicity_annotator_count": annotators}
    for kind in (*SUBTYPES, "sexual_explicit"):
        has_kind = np.array([kind in comment.kinds for comment in comments])
        if kind == "severe_toxicity":  # it has no words of its own: several kinds at once
            chance = np.where([len(comment.kinds) > 1 for comment in comments], 0.25, 0.03)
        else:
            chance = np.where(has_kind, 0.8, 0.04)
        columns[kind] = _share(rng.binomial(marks, chance), annotators)
    return columns


def _identity_columns(rng: np.random.Generator, comments: list[Comment]) -> dict[str, np.ndarray]:
    """Shares for the quarter of the rows whose identities were annotated, NaN for all others."""
    n_rows = len(comments)
    chance = np.where([bool(comment.identities) for comment in comments], 0.55, 0.09)
    annotated = rng.random(n_rows) < chance
    annotators = np.where(annotated, rng.integers(4, 11, n_rows), 0)
    columns = {"identity_annotator_count": annotators}
    for name in IDENTITIES:
        chance = np.where([name in comment.identities for comment in comments], 0.92, 0.005)
        marks = rng.binomial(annotators, chance)
        columns[name] = np.where(annotated, _share(marks, np.maximum(annotators, 1)), np.nan)
    return columns


def _activity(rng: np.random.Generator, target: np.ndarray) -> dict[str, object]:
    """The columns about the article and the readers' reactions, which carry little signal."""
    n_rows = len(target)
    seconds = rng.integers(0, 66_000_000, n_rows)
    created = pd.Timestamp("2015-09-29") + pd.to_timedelta(seconds, unit="s")
    parent = np.where(rng.random(n_rows) < 0.43, np.nan, rng.integers(60_000, 6_000_000, n_rows))
    rejected = rng.random(n_rows) < 0.02 + 0.3 * target
    columns: dict[str, object] = {
        "created_date": created.strftime("%Y-%m-%d %H:%M:%S.000000+00"),
        "publication_id": rng.integers(2, 110, n_rows),
        "parent_id": parent,
        "article_id": rng.integers(2_006, 400_000, n_rows),
        "rating": np.where(rejected, "rejected", "approved"),
    }
    for name, mean in (("funny", 0.3), ("wow", 0.05), ("sad", 0.1), ("likes", 2.5)):
        columns[name] = rng.poisson(mean, n_rows)
    return columns | {"disagree": rng.poisson(0.4 + target, n_rows)}


def _sample_table(rng: np.random.Generator, n_rows: int, first_id: int) -> pd.DataFrame:
    """All columns of one split. Ids are unique, unordered, and below ``first_id + 4 * n_rows``."""
    comments = _sample_comments(rng, n_rows)
    ids = first_id + rng.choice(4 * n_rows, n_rows, replace=False)
    labels = _toxicity(rng, comments) | _identity_columns(rng, comments)
    activity = _activity(rng, labels["target"])
    texts = [comment.text for comment in comments]
    columns = {"id": ids, "comment_text": texts, **labels, **activity}
    return pd.DataFrame(columns)[list(TRAIN_COLUMNS)]


def check_sizes(rows: int, test_rows: int, seed: int) -> None:
    """Refuse a generated competition that would be too small.

    Raises:
        InputError: with the option of the command that is too small.
    """
    for option, value, minimum in (("--rows", rows, MIN_ROWS), ("--seed", seed, 0),
                                 ("--test-rows", test_rows, MIN_TEST_ROWS)):  # fmt: skip
        if value < minimum:
            raise InputError(f"{option} must be {minimum} or more, got {value}")


def build_sample(rows: int, test_rows: int, seed: int) -> dict[str, pd.DataFrame]:
    """The four tables of the competition by file name.

    The test rows do not depend on the number of training rows.

    Args:
        rows: the number of training rows.
        test_rows: the number of test rows.
        seed: of all random choices.

    Raises:
        InputError: a number is too small.
    """
    check_sizes(rows, test_rows, seed)
    train = _sample_table(np.random.default_rng([seed, 0]), rows, FIRST_ID)
    # Test ids start at seven million as in the real files, and always above the last train id.
    first_test_id = max(7_000_000, FIRST_ID + 4 * rows)
    test = _sample_table(np.random.default_rng([seed, 1]), test_rows, first_test_id)
    return {
        "train.csv": train,
        "test.csv": test[["id", "comment_text"]],
        "sample_submission.csv": test[["id"]].assign(prediction=0.0),
        "test_labels.csv": test.rename(columns={"target": "toxicity"})[list(TEST_LABEL_COLUMNS)],
    }


def write_sample(folder: Path, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Write the tables to ``folder`` and return the paths of the files.

    Raises:
        InputError: the folder holds files that are not a generated sample, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        existing = [name for name in tables if (folder / name).exists()]
        if existing and not (folder / MARKER).exists():
            # The file may be the real competition's, which takes long to download again.
            raise InputError(f"{folder / existing[0]} exists and is not a generated sample; "
                             "give another folder with --output")  # fmt: skip
        write_text(folder / MARKER, "Generated by scripts/make_sample.py; no comment is real.\n")
        for name, table in tables.items():
            write_frame(folder / name, table)
    except OSError as error:
        raise InputError(f"cannot write the sample to {folder}: {error}") from error
    return [folder / name for name in tables]
