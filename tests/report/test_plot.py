"""Names of columns are drawn as they are, whatever matplotlib would make of them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib import rc_context

from auxfold.report.curve_plots import plot_label_curves
from auxfold.report.reliability_plot import plot_reliability
from auxfold.report.run_plots import plot_label_rates

RANDOM = np.random.default_rng(0)
LABELS = (RANDOM.random((40, 2)) < 0.5).astype(float)
SCORES = RANDOM.random((40, 2))


def drawn_texts(svg: str) -> list[str]:
    """What a plot writes: matplotlib puts every text next to its outlines, as a comment."""
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", svg, re.DOTALL)]


def count_glyphs(svg: str, text: str) -> int:
    """The characters that a plot draws for a text; a formula would have others."""
    drawn = svg.split(f"<!-- {text} -->")[1].split("<!--")[0]
    return len(re.findall(r'<use xlink:href="#[^"]*DejaVuSans', drawn))


@pytest.mark.parametrize("name", ["$x_1$", r"$\frac{1}$", "$$", "cost $", "a$b$c", "_x", "{}", "%"])
def test_a_name_is_drawn_as_it_is(name):
    """An unfinished formula would end the report; a whole one would be another text."""
    with rc_context({"text.usetex": True}):  # of a notebook
        rates = plot_label_rates("main", [name, "plain"], LABELS)
        curves = plot_label_curves("main", [name, "plain"], LABELS, SCORES)
    assert name in drawn_texts(rates.svg) and count_glyphs(rates.svg, name) == len(name)
    for panel in curves.panels:
        assert any(text.split(" ", 1)[1:] == [name] for text in drawn_texts(panel))


def test_a_logarithmic_axis_has_numbers_and_no_formulas():
    calibration = {"curves": {"raw": [[0.2, 0.8], [0.1, 0.9]]}, "ece": {"raw": 0.1}}
    scores = np.repeat([0.1, 0.9], [2_000, 5])
    plot = plot_reliability("toxic", (scores > 0.5) * 1.0, scores, calibration)
    texts = drawn_texts(plot.panels[-1])
    assert {"10", "100", "1000"} <= set(texts)
    assert not any("$" in text or "mathdefault" in text for text in texts)
