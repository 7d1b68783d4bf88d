"""The bias metric for a person: a table of text, a data frame, a heat map."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from auxfold.config import BIAS, BIAS_FAMILIES
from auxfold.fairness.jigsaw_bias import POWER, Bias
from auxfold.report.plots import INK, STYLE, Plot, svg_of

HEADINGS = {"subgroup": "subgroup", "bpsn": "BPSN", "bnsp": "BNSP"}
MEAN = f"power mean, p = {POWER:g}"


def bias_frame(bias: Bias) -> pd.DataFrame:
    """``identity, rows, positive`` and an area per family; NaN where undefined.

    The last line holds the power means over the identities, with the counts of all rows.
    """
    rows = [(i.name, i.rows, i.positive, i.subgroup, i.bpsn, i.bnsp) for i in bias.identities]
    rows.append((MEAN, bias.rows, bias.positive, bias.subgroup, bias.bpsn, bias.bnsp))
    made = pd.DataFrame(rows, columns=["identity", "rows", "positive", *BIAS_FAMILIES])
    return made.astype(dict.fromkeys(BIAS_FAMILIES, float))


def bias_text(bias: Bias) -> str:
    """A line per identity; ``*`` marks the lowest of a column, ``–`` an undefined area."""
    frame = bias_frame(bias)
    width = max(len(name) for name in ["identity", *frame["identity"]])
    lines = [f"{'identity':{width}} {'rows':>9} {'positive':>9}  {'  '.join(_headings())}"]
    lowest = {family: frame[family][:-1].min() for family in BIAS_FAMILIES}
    for place, row in frame.iterrows():
        if place == len(frame) - 1:
            lines.append("-" * len(lines[0]))
        cells = "  ".join(_cell(row[f], row[f] == lowest[f]) for f in BIAS_FAMILIES)
        lines.append(f"{row['identity']:{width}} {row['rows']:9,} {row['positive']:9,}  {cells}")
    score, overall = _told(bias.score), _told(bias.overall)
    lines.append(f"{BIAS}/score {score}, overall AUC {overall}")
    return "\n".join(line.rstrip() for line in lines)


def _headings() -> list[str]:
    return [f"{heading:>8} " for heading in HEADINGS.values()]


def _cell(value: float, lowest: bool) -> str:
    return f"{_told(value):>8}{'*' if lowest else ' '}"


def _told(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.4f}"


def plot_bias(bias: Bias) -> Plot:
    """Areas by identity and family as a heat map, the power means below, with counts of rows."""
    frame = bias_frame(bias)
    areas = frame[list(BIAS_FAMILIES)].to_numpy()
    known = areas[~np.isnan(areas)]
    least = min(0.9, known.min()) if len(known) else 0.9
    names = [
        f"{name}  ({positive:,} of {rows:,})"
        for name, rows, positive in zip(
            frame["identity"], frame["rows"], frame["positive"], strict=True
        )
    ]
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 1.1 + 0.34 * len(frame)), layout="constrained")
        axes = figure.subplots()
        shown = axes.imshow(areas, cmap="YlOrRd_r", vmin=least, vmax=1.0, aspect="auto")
        axes.set(yticks=range(len(frame)), yticklabels=names, xticks=range(len(BIAS_FAMILIES)))
        axes.set_xticklabels(list(HEADINGS.values()))
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.axhline(len(frame) - 1.5, color="white", linewidth=3)
        for (row, place), area in np.ndenumerate(areas):
            dark = area < least + 0.25 * (1 - least)
            colour = INK if np.isnan(area) else "white" if dark else "#222222"
            axes.text(place, row, _told(area), ha="center", va="center", fontsize=8, color=colour)
        figure.colorbar(shown, ax=axes, label="area under the ROC curve")
        alt = (
            f"Bias by identity, {BIAS}/score {_told(bias.score)}, overall area "
            f"{_told(bias.overall)}; in brackets positive rows of all rows. {_lowest(frame)}"
        )
        return Plot("Bias by identity", svg_of(figure), alt)


def _lowest(frame: pd.DataFrame) -> str:
    told = []
    for family, heading in HEADINGS.items():
        areas = frame[family][:-1]
        if areas.notna().any():
            place = int(areas.argmin())
            told.append(f"{heading} {frame['identity'][place]} {areas[place]:.4f}")
    return f"Lowest: {', '.join(told)}." if told else "No area is defined."
