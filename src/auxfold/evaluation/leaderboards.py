"""Known scores of past competitions, and where a score ranks among them.

A competition is recognized by the columns of the labels that it released after its end. The scores
are those of the private boards: detoxify's are from its README, the others were published by the
teams themselves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.evaluation.labeled_predictions import LabeledPredictions
from auxfold.tasks import KINDS


@dataclass(frozen=True)
class Leaderboard:
    """The private board of one competition.

    Attributes:
        name: the name of the competition.
        board: the board that the scores are from.
        metric: the metric of the board, by its name in auxfold.
        columns: the label columns that are scored, as in the released file.
        identities: further columns that the metric needs.
        absent_column: a column of the training file that the released one lacks.
        n_rows: the number of rows of the released file.
        file_prefix: the start of its file name, since the columns are also those of other files.
        reference_scores: rising scores and what reached them.
    """

    name: str
    board: str
    metric: str
    columns: tuple[str, ...]
    identities: tuple[str, ...]
    absent_column: str
    n_rows: int
    file_prefix: str
    reference_scores: tuple[tuple[float, str], ...]

    def is_source_of(self, labeled: LabeledPredictions) -> bool:
        """Whether the labels are those that this competition released."""
        has_columns = {*self.columns, *self.identities} <= set(labeled.header)
        has_name = Path(labeled.labels_path).name.startswith(self.file_prefix)
        has_size = len(labeled.labels) == self.n_rows
        return has_columns and (has_name or has_size) and self.absent_column not in labeled.header

    def describe_rank(self, score: float) -> str:
        """Between which two known scores a score is; an equal one has been reached."""
        scores = [reference for reference, _ in self.reference_scores]
        names = [f"{name} ({reference:g})" for reference, name in self.reference_scores]
        n_reached = bisect_right(scores, score)
        if n_reached == 0:
            return f"below {names[0]}"
        if n_reached == len(names):
            return f"as high as {names[-1]}" if score == scores[-1] else f"above {names[-1]}"
        return f"between {names[n_reached - 1]} and {names[n_reached]}"


JIGSAW_2019 = Leaderboard(
    name="Jigsaw Unintended Bias 2019",
    board="private board",
    metric=f"{BIAS}/score",
    columns=("toxicity",),
    identities=(
        "male", "female", "homosexual_gay_or_lesbian", "christian", "jewish", "muslim", "black",
        "white", "psychiatric_or_mental_illness",
    ),
    absent_column="target",
    n_rows=97_320,
    # test_private_expanded.csv and test_public_expanded.csv, not the labels of the sample.
    file_prefix="test_p",
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
    board="private board (a tenth of the labels are those of the public one)",
    metric="auc",
    columns=("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"),
    identities=(),
    absent_column="comment_text",
    n_rows=153_164,
    file_prefix="test_labels",
    reference_scores=((0.9864, "detoxify's BERT-base"), (0.9886, "the winner")),
)


def find_leaderboard(labeled: LabeledPredictions, experiment: Experiment) -> Leaderboard | None:
    """The competition that released these labels; None for an unknown file.

    The result is also None where the bias metric is scored but the experiment's main column is
    missing.
    """
    main = experiment.main_task
    has_main = KINDS[main.kind].has_positive_class and main.label_columns[0] in labeled.columns
    matches = [board for board in (JIGSAW_2019, JIGSAW_2018) if board.is_source_of(labeled)]
    return next((board for board in matches if has_main or not board.identities), None)


def describe_rank(
    leaderboard: Leaderboard,
    labeled: LabeledPredictions,
    scores: dict[str, float | None],
    identities: Sequence[str],
) -> str:
    """Where a prediction file ranks on the board, or why this cannot be said.

    Args:
        leaderboard: of the competition that released the labels.
        labeled: labels and predictions.
        scores: the scores by name, with that of the board's metric.
        identities: those of the bias metric, where the board has some.
    """
    score = scores[leaderboard.metric]
    has_all_columns = set(leaderboard.columns) <= set(labeled.predictions.columns)
    if set(identities) != set(leaderboard.identities):
        reason = f"the board's identities are {', '.join(leaderboard.identities)}"
    elif not leaderboard.identities and not has_all_columns:
        columns = ", ".join(leaderboard.columns)
        reason = f"the board's score is the mean over {columns}: --all-tasks"
    elif "public" in Path(labeled.labels_path).name:
        reason = "the known scores are those of the private board"
    elif score is None:
        reason = f"{leaderboard.metric} is undefined"
    else:
        n, rank = len(labeled.labels), leaderboard.describe_rank(score)
        line = f"{leaderboard.name}, {leaderboard.board}: {score:.5f}, {rank}"
        if n == leaderboard.n_rows:
            return line
        return f"{line}; of {n:,} rows, the board has {leaderboard.n_rows:,}"
    return f"{leaderboard.name}: not ranked on the private board, since {reason}"
