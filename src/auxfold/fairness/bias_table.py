"""The bias metric for a reader: as a data frame and as a table of text."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.config import BIAS, BIAS_FAMILIES
from auxfold.fairness.jigsaw_bias import POWER, Bias

FAMILY_HEADINGS = {"subgroup": "subgroup", "bpsn": "BPSN", "bnsp": "BNSP"}
POWER_MEAN_ROW = f"power mean, p = {POWER:g}"


def bias_frame(bias: Bias) -> pd.DataFrame:
    """``identity, rows, positive`` and one column of areas per family; NaN where undefined.

    The last row holds the power means over the identities, with the counts of all rows.
    """
    rows = [(i.name, i.rows, i.positive, i.subgroup, i.bpsn, i.bnsp) for i in bias.identities]
    rows.append((POWER_MEAN_ROW, bias.rows, bias.positive, bias.subgroup, bias.bpsn, bias.bnsp))
    frame = pd.DataFrame(rows, columns=["identity", "rows", "positive", *BIAS_FAMILIES])
    return frame.astype(dict.fromkeys(BIAS_FAMILIES, float))


def format_bias_table(bias: Bias) -> str:
    """One line per identity; ``*`` marks the lowest area of a column, ``–`` an undefined one."""
    frame = bias_frame(bias)
    width = max(len(name) for name in ["identity", *frame["identity"]])
    headings = "  ".join(f"{heading:>8} " for heading in FAMILY_HEADINGS.values())
    lines = [f"{'identity':{width}} {'rows':>9} {'positive':>9}  {headings}"]
    lowest = {family: frame[family][:-1].min() for family in BIAS_FAMILIES}
    for number, row in frame.iterrows():
        if number == len(frame) - 1:
            lines.append("-" * len(lines[0]))
        cells = "  ".join(_format_cell(row[f], row[f] == lowest[f]) for f in BIAS_FAMILIES)
        lines.append(f"{row['identity']:{width}} {row['rows']:9,} {row['positive']:9,}  {cells}")
    score, overall = format_area(bias.score), format_area(bias.overall)
    lines.append(f"{BIAS}/score {score}, overall AUC {overall}")
    return "\n".join(line.rstrip() for line in lines)


def format_area(area: float | None) -> str:
    """An area with four digits, ``–`` where it is None or NaN."""
    return "–" if area is None or np.isnan(area) else f"{area:.4f}"


def _format_cell(area: float, is_lowest: bool) -> str:
    return f"{format_area(area):>8}{'*' if is_lowest else ' '}"
