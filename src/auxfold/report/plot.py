"""A plot of the report: SVG in the colors of the page, with a sentence that describes it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from cycler import cycler
from matplotlib.figure import Figure  # without pyplot: a notebook keeps its own backend

INK = "#010203"  # stands for the text color of the page, light or dark
COLORS = ("#3b7dd8", "#e07b39", "#4a9d5b", "#b3579b", "#8a7a2e", "#5ba7b5", "#c0504d", "#7d6bb5")
STYLE: dict[Any, Any] = {  # keys of matplotlib's rcParams
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLORS),
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "auxfold",  # an equal plot is an equal file
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Plot:
    """One figure of the report.

    Attributes:
        title: the heading above it.
        svg: the figure as an ``<svg>`` element.
        alt: a description in words, for readers who do not see the figure.
    """

    title: str
    svg: str
    alt: str


def to_svg(figure: Figure) -> str:
    """A figure as an ``<svg>`` element with a transparent background, in the page's text color."""
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")
