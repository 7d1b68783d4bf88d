"""What the report says about the rows: how many, how long, repeated, cut, unknown."""

from __future__ import annotations

from dataclasses import dataclass

from auxfold.evaluation.data_summary import DataSummary
from auxfold.evaluation.token_statistics import TokenStatistics
from auxfold.report.plot import COLORS, INK, Panel, Plot


@dataclass(frozen=True)
class Fact:
    """A row of the table: what is counted, and its value."""

    name: str
    value: str


def data_facts(summary: DataSummary) -> list[Fact]:
    """The counts of a summary, name by name."""
    facts = [
        Fact("file", summary.path),
        Fact("rows", f"{summary.rows:,}"),
        Fact("rows without a text", _share(summary.empty_texts, summary.rows)),
        Fact(
            "rows that repeat the text of an earlier row", _share(summary.duplicates, summary.rows)
        ),
    ]
    if summary.duplicates:
        facts.append(Fact("repeated texts with different main labels", f"{summary.conflicts:,}"))
    if summary.across_folds is not None:
        across = _share(summary.across_folds, summary.rows)
        facts.append(Fact("rows whose text is nearly equal to one in another fold", across))
    if summary.validation_overlap:
        facts.append(
            Fact("rows to validate on with a text of training", f"{summary.validation_overlap:,}")
        )
    if summary.test_rows is not None:
        facts.append(Fact("test rows", f"{summary.test_rows:,}"))
        overlap = _share(summary.test_overlap, summary.test_rows)
        facts.append(Fact("test rows with a text of training", overlap))
    facts += [
        Fact(f"accuracy of the most frequent answer, {column}", f"{score:.4f}")
        for column, score in list(summary.majority_scores().items())[:1]
    ]
    return facts if summary.tokens is None else [*facts, *_token_facts(summary.tokens)]


def _token_facts(tokens: TokenStatistics) -> list[Fact]:
    lengths = ", ".join(
        f"{length:,} ({'longest' if share == '100' else f'{share} % of the rows'})"
        for share, length in tokens.quantiles.items()
    )
    facts = [
        Fact("rows in the sample whose tokens are counted", f"{tokens.rows:,}"),
        Fact("tokens of a row up to", lengths),
        Fact(f"rows {_fate(tokens)} model.max_length = {tokens.max_length}", f"{tokens.cut:.1%}"),
        Fact("tokens that the backbone does not know", f"{tokens.unknown:.2%}"),
        Fact("tokens per character", f"{tokens.per_character:.2f}"),
    ]
    if tokens.per_word is not None:
        facts.append(Fact("tokens per word", f"{tokens.per_word:.2f}"))
    return facts


def _fate(tokens: TokenStatistics) -> str:
    """What happens to rows that are longer than the model."""
    return "read in windows of" if tokens.in_windows else "cut at"


def plot_lengths(tokens: TokenStatistics) -> Plot | None:
    """A histogram of the tokens of a row, with the length at which rows are cut.

    Returns:
        The plot; None where all rows have about the same length.
    """
    if sum(count > 0 for count in tokens.bin_counts) < 2:
        return None
    with Panel() as panel:
        panel.axes.stairs(tokens.bin_counts, tokens.bin_edges, fill=True, color=COLORS[0],
                          label="rows")  # fmt: skip
        if tokens.max_length <= tokens.bin_edges[-1]:
            panel.axes.axvline(tokens.max_length, color=INK, linestyle="--", linewidth=1,
                               label=f"model.max_length = {tokens.max_length}")  # fmt: skip
        panel.axes.set(xlabel="tokens of a row", ylabel=f"rows of a sample of {tokens.rows:,}")
        panel.axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    alt = (
        f"Tokens of a row: half of the rows have up to {tokens.quantiles['50']:,}, 95 % up to "
        f"{tokens.quantiles['95']:,}, the longest {tokens.quantiles['100']:,}; {tokens.cut:.1%} "
        f"are {_fate(tokens)} {tokens.max_length}."
    )
    return Plot("Lengths of the texts", (panel.svg,), alt)


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})" if count and total else f"{count:,}"
