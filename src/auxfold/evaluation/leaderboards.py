"""Known scores of past competitions, and where one falls among them.

A competition is recognised by the columns of the labels that it released after its end. The scores
are those of the private boards: of detoxify by its README, the others by the teams' own accounts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.evaluation.released_labels import LabeledPredictions


@dataclass(frozen=True)
class Leaderboard:
    """One competition's private board.

    Attributes:
        name: what it is called.
        board: whose scores these are.
        metric: the board's score, by its name here.
        columns: the label columns that are scored, as in the released file.
        identities: columns that the metric needs beside them.
        absent: a column of the training file that the released one lacks.
        rows: of the released file.
        file: how its name begins: columns alone do not tell it from other files.
        rungs: rising scores and what reached them.
    """

    name: str
    board: str
    metric: str
    columns: tuple[str, ...]
    identities: tuple[str, ...]
    absent: str
    rows: int
    file: str
    reference_scores: tuple[tuple[float, str], ...]

    def released(self, pair: LabeledPredictions) -> bool:
        """Whether the labels are those of this competition."""
        there = {*self.columns, *self.identities} <= set(pair.header)
        named = Path(pair.labels_path).name.startswith(self.file) or len(pair.labels) == self.rows
        return there and named and self.absent not in pair.header

    def place(self, score: float) -> str:
        """In words: between which two known scores (a score on a rung has reached it)."""
        scores = [rung for rung, _ in self.reference_scores]
        number = bisect_right(scores, score)
        told = [f"{what} ({rung:g})" for rung, what in self.reference_scores]
        if number == 0:
            return f"below {told[0]}"
        if number == len(told):
            return f"as high as {told[-1]}" if score == scores[-1] else f"above {told[-1]}"
        return f"between {told[number - 1]} and {told[number]}"


JIGSAW_2019 = Leaderboard(
    name="Jigsaw Unintended Bias 2019",
    board="private board",
    metric=f"{BIAS}/score",
    columns=("toxicity",),
    identities=(
        "male", "female", "homosexual_gay_or_lesbian", "christian", "jewish", "muslim", "black",
        "white", "psychiatric_or_mental_illness",
    ),
    absent="target",
    rows=97_320,
    file="test_p",  # test_private_expanded.csv, test_public_expanded.csv; not the sample's labels
    reference_scores=(
        (0.9336, "detoxify's ALBERT"),
        (0.9364, "detoxify's RoBERTa"),
        (0.9374, "detoxify's RoBERTa with 2018 data"),
        (0.941, "an ordinary BERT-base"),
        (0.94376, "one tuned BERT-base"),
        (0.94651, "five models of the 7th place"),
        (0.94734, "the winner"),
    ),
)  # fmt: skip
JIGSAW_2018 = Leaderboard(
    name="Toxic Comment Classification 2018",
    board="private board (the labels are those of the public one too, a tenth of them)",
    metric="auc",
    columns=("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"),
    identities=(),
    absent="comment_text",
    rows=153_164,
    file="test_labels",
    reference_scores=((0.9864, "detoxify's BERT-base"), (0.9886, "the winner")),
)


def find_leaderboard(pair: LabeledPredictions, experiment: Experiment) -> Leaderboard | None:
    """The competition that released these labels; None of an unknown file.

    None, too, where the bias metric is scored and the experiment's main column is not there.
    """
    main = experiment.main_task
    columns = set(pair.labels.columns) & set(pair.predictions.columns)
    has_main = main.kind == "binary" and main.columns[0] in columns
    found = [ladder for ladder in (JIGSAW_2019, JIGSAW_2018) if ladder.released(pair)]
    return next((ladder for ladder in found if has_main or not ladder.identities), None)


def board_line(
    ladder: Leaderboard,
    pair: LabeledPredictions,
    scores: dict[str, float | None],
    identities: Sequence[str],
) -> str:
    """Where a prediction file falls on the ladder, or why that cannot be told.

    Args:
        ladder: of the competition that released the labels.
        pair: labels and predictions.
        scores: by name, the ladder's metric among them.
        identities: those of the bias metric, where the ladder has some.
    """
    score = scores[ladder.metric]
    if set(identities) != set(ladder.identities):
        why = f"the board's identities are {', '.join(ladder.identities)}"
    elif not ladder.identities and not set(ladder.columns) <= set(pair.predictions.columns):
        why = f"the board's score is the mean over {', '.join(ladder.columns)}: --all-tasks"
    elif "public" in Path(pair.labels_path).name:
        why = "the known scores are those of the private board"
    elif score is None:
        why = f"{ladder.metric} is undefined"
    else:
        told = f"{ladder.name}, {ladder.board}: {score:.5f}, {ladder.place(score)}"
        n = len(pair.labels)
        return told if n == ladder.rows else f"{told}; of {n:,} rows, the board has {ladder.rows:,}"
    return f"{ladder.name}: not told where on the private board, since {why}"
