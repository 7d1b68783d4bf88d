"""The differences between variants of an experiment, for comparisons and ablations."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.report.plot import COLORS, INK, Panel, Plot


def plot_comparison(record: dict[str, Any]) -> list[Plot]:
    """Every variant against the baseline, one plot per metric.

    Args:
        record: from ``collect_comparison`` or ``collect_ablation``.
    """
    title = record.get("title", f"Variants against {record['baseline']}")
    conclusion, labels = record.get("conclusion", "above zero is better"), record.get("labels", {})
    plots = []
    for metric, results in record["metrics"].items():
        differences = {labels.get(v, v): d for v, d in results["differences"].items()}
        xlabel = f"{metric}, difference ({conclusion})"
        plots.append(_plot_differences(differences, title, xlabel))
    return plots


def _plot_differences(differences: dict[str, dict[str, float]], title: str, xlabel: str) -> Plot:
    """Mean paired differences with their intervals, one line each."""
    heights = np.arange(len(differences))[::-1]
    means = np.array([difference["mean"] for difference in differences.values()])
    ends = np.array([[d["low"], d["high"]] for d in differences.values()])
    with Panel(7.2, 1.0 + 0.36 * len(differences)) as panel:
        axes, widths = panel.axes, np.abs(ends.T - means)
        axes.errorbar(means, heights, xerr=widths, fmt="o", capsize=3, color=COLORS[0])
        axes.axvline(0, color=INK, linewidth=0.6, linestyle=":")
        axes.set(yticks=heights, yticklabels=list(differences), xlabel=xlabel)
        axes.set_ylim(-0.6, len(differences) - 0.4)
    values = ", ".join(f"{n} {m:+.4f}" for n, m in zip(differences, means, strict=True))
    alt = f"{xlabel}: mean paired difference with its 95 % interval: {values}."
    return Plot(title, (panel.svg,), alt)
