"""The bias metric by identity as a heat map."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.config import BIAS, BIAS_FAMILIES
from auxfold.fairness.bias_table import FAMILY_HEADINGS, bias_frame, format_area
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.report.plot import INK, Panel, Plot


def plot_bias(bias: Bias) -> Plot:
    """Areas by identity and family, with the power means in the last row and counts of rows."""
    frame = bias_frame(bias)
    areas = frame[list(BIAS_FAMILIES)].to_numpy()
    defined = areas[~np.isnan(areas)]
    minimum = min(0.9, defined.min()) if len(defined) else 0.9
    labels = [
        f"{name}  ({positive:,} of {rows:,})"
        for name, rows, positive in zip(
            frame["identity"], frame["rows"], frame["positive"], strict=True
        )
    ]
    with Panel(8, 1.1 + 0.34 * len(frame)) as panel:
        axes = panel.axes
        image = axes.imshow(areas, cmap="YlOrRd_r", vmin=minimum, vmax=1.0, aspect="auto")
        axes.set(yticks=range(len(frame)), yticklabels=labels, xticks=range(len(BIAS_FAMILIES)))
        axes.set_xticklabels(list(FAMILY_HEADINGS.values()))
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.axhline(len(frame) - 1.5, color="white", linewidth=3)
        for (row, column), area in np.ndenumerate(areas):
            is_dark = area < minimum + 0.25 * (1 - minimum)
            color = INK if np.isnan(area) else "white" if is_dark else "#222222"
            axes.text(
                column, row, format_area(area), ha="center", va="center", fontsize=8, color=color
            )
        axes.figure.colorbar(image, ax=axes, label="area under the ROC curve")
    alt = (
        f"Bias by identity, {BIAS}/score {format_area(bias.score)}, overall area "
        f"{format_area(bias.overall)}; in brackets positive rows of all rows. "
        f"{_describe_lowest(frame)}"
    )
    return Plot("Bias by identity", (panel.svg,), alt)


def _describe_lowest(frame: pd.DataFrame) -> str:
    """The identity with the lowest area of every family, in one sentence."""
    parts = []
    for family, heading in FAMILY_HEADINGS.items():
        areas = frame[family][:-1]
        if areas.notna().any():
            lowest = int(areas.argmin())
            parts.append(f"{heading} {frame['identity'][lowest]} {areas[lowest]:.4f}")
    return f"Lowest: {', '.join(parts)}." if parts else "No area is defined."
