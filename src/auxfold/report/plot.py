"""A plot of the report: SVG in the colors of the page, with a sentence that describes it."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
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
    "text.parse_math": False,  # a `$` in the name of a column is a `$`
    "text.usetex": False,
}
WIDTH, HEIGHT = 4.8, 3.2  # inches of a panel: two fit side by side, one fits a phone


@dataclass(frozen=True)
class Plot:
    """One figure of the report.

    Attributes:
        title: the heading above it.
        panels: its parts as ``<svg>`` elements, side by side where the page is wide enough. Empty
            where a figure would show nothing; the page then prints ``alt``.
        alt: a description in words, for readers who do not see the figure.
        task: the name of the task that it is about; empty: the run as a whole.
    """

    title: str
    panels: tuple[str, ...]
    alt: str
    task: str = ""

    @property
    def svg(self) -> str:
        """The only panel, as a file of its own."""
        (panel,) = self.panels
        return panel


class Panel:
    """One pair of axes in the style of the report: ``with Panel() as panel: panel.axes.plot(…)``.

    Args:
        width: in inches.
        height: in inches.

    Attributes:
        axes: to draw on, inside the ``with`` statement.
        svg: the ``<svg>`` element, after it.
    """

    axes: Axes
    svg: str

    def __init__(self, width: float = WIDTH, height: float = HEIGHT) -> None:
        self._size = (width, height)
        self._style = rc_context(STYLE)

    def __enter__(self) -> Panel:
        self._style.__enter__()
        self.axes = Figure(figsize=self._size, layout="constrained").subplots()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                figure = self.axes.figure
                assert isinstance(figure, Figure)
                self.svg = to_svg(figure)
        finally:
            self._style.__exit__(kind, error, trace)


def to_svg(figure: Figure) -> str:
    """A figure as an ``<svg>`` element with a transparent background, in the page's text color."""
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    # A clip path in a hidden plot does not clip, so no two plots of a page share an id.
    prefix = f"p{hashlib.sha256(text.encode()).hexdigest()[:8]}-"
    return re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}", text)
