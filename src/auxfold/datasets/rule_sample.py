"""A generated, inoffensive competition in the format of Jigsaw Agile Community Rules 2025.

Does a comment break the rule next to it? Each row brings two comments that break its rule and two
that do not. The test file has rules that the training file lacks, and what they mean can be learned
from those examples alone. A comment that breaks one rule also comes with another rule, which it
does not break, so that a model has to read both. As in the real files, examples come again in other
rows, and some are the comments of training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.datasets.rule_sample_words import (
    COMMUNITIES,
    RULE_WORDS,
    TEST_RULES,
    TRAIN_RULES,
    Rule,
)
from auxfold.datasets.sample import check_sizes
from auxfold.datasets.sample_words import CIVIL
from auxfold.datasets.templates import fill, pick

EXAMPLE_COLUMNS = ("positive_example_1", "positive_example_2",
                   "negative_example_1", "negative_example_2")  # fmt: skip
TEST_COLUMNS = ("row_id", "body", "rule", "subreddit", *EXAMPLE_COLUMNS)
LABEL = "rule_violation"
_ALL_RULES = (*TRAIN_RULES, *TEST_RULES)

FROM_EXAMPLES = 0.25  # share of comments that are examples of other rows, too
OF_OTHER_RULES = 0.3  # share of harmless comments that break another rule, one of training
NOISY_ROWS = 0.03  # share of rows with the wrong label: noise that no model can learn


@dataclass(frozen=True)
class RuleExamples:
    """The comments from which the rows of a rule take their examples.

    Attributes:
        breaking: comments that break the rule.
        allowed: comments that do not.
    """

    breaking: list[str]
    allowed: list[str]


def _sample_comment(rng: np.random.Generator, rule: Rule, breaks: bool) -> str:
    """A comment that breaks a rule, or one on the same subject, or one that breaks another rule."""
    templates = rule.breaking if breaks else rule.allowed
    if not breaks and rng.random() < OF_OTHER_RULES:
        templates = pick(rng, [other for other in TRAIN_RULES if other != rule]).breaking
    sentences = [fill(rng, pick(rng, CIVIL), RULE_WORDS) for _ in range(int(rng.integers(0, 3)))]
    sentences.append(fill(rng, pick(rng, templates), RULE_WORDS))
    return " ".join(sentences[i] for i in rng.permutation(len(sentences)))


def _sample_examples(rng: np.random.Generator, rule: Rule, size: int) -> RuleExamples:
    """``size`` comments of each kind."""
    breaking, allowed = (
        [_sample_comment(rng, rule, breaks) for _ in range(size)] for breaks in (True, False)
    )
    return RuleExamples(breaking, allowed)


def _sample_row(
    rng: np.random.Generator, rule: Rule, examples: RuleExamples
) -> dict[str, str | int]:
    """A row without its id. Its comment is none of its own examples."""
    breaks = bool(rng.random() < 0.5)
    comments = examples.breaking if breaks else examples.allowed
    body = _sample_comment(rng, rule, breaks)
    if rng.random() < FROM_EXAMPLES:
        body = pick(rng, comments)
    positive, negative = (
        rng.choice([text for text in texts if text != body], size=2, replace=False)
        for texts in (examples.breaking, examples.allowed)
    )
    is_noisy = rng.random() < NOISY_ROWS
    cells = [body, rule.text, pick(rng, COMMUNITIES), *map(str, positive), *map(str, negative)]
    return {**dict(zip(TEST_COLUMNS[1:], cells, strict=True)), LABEL: int(breaks != is_noisy)}


def _sample_table(
    rng: np.random.Generator,
    rules: Sequence[Rule],
    examples: dict[str, RuleExamples],
    ids: range,
) -> pd.DataFrame:
    rows = []
    for row_id in ids:
        rule = pick(rng, rules)
        rows.append({"row_id": row_id, **_sample_row(rng, rule, examples[rule.text])})
    return pd.DataFrame(rows)


def build_rule_sample(rows: int, test_rows: int, seed: int) -> dict[str, pd.DataFrame]:
    """The four tables of the competition by file name.

    The test rows, but for their ids, do not depend on the number of training rows.

    Args:
        rows: the number of training rows.
        test_rows: the number of test rows.
        seed: of all random choices.

    Raises:
        InputError: a number is too small.
    """
    check_sizes(rows, test_rows, seed)
    random = np.random.default_rng([seed, 2])
    size = max(4, test_rows // 10)
    examples = {rule.text: _sample_examples(random, rule, size) for rule in _ALL_RULES}
    train = _sample_table(np.random.default_rng([seed, 0]), TRAIN_RULES, examples, range(rows))
    test_ids = range(rows, rows + test_rows)
    test = _sample_table(np.random.default_rng([seed, 1]), _ALL_RULES, examples, test_ids)
    return {
        "train.csv": train,
        "test.csv": test[list(TEST_COLUMNS)],
        "sample_submission.csv": test[["row_id"]].assign(**{LABEL: 0.5}),
        "test_labels.csv": test[["row_id", LABEL]],
    }
