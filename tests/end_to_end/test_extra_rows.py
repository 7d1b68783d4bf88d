"""The flagship's commented section: comments of 2018 as extra rows of 2019's tasks."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from auxfold.config.experiment import experiment_from_dict
from auxfold.data.loading import read_training_table
from auxfold.datasets.sample import build_sample

CONFIG = Path(__file__).parents[2] / "configs/jigsaw_2019.toml"
LABELS_2018 = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]


def uncommented() -> dict:
    """The config as a person would change it: ``train`` out, the commented sources in."""
    lines, inside = [], False
    for line in CONFIG.read_text().splitlines():
        inside = (inside and bool(line)) or line == "# [[data.train]]"
        if not line.startswith("train = "):
            lines.append(line.lstrip("# ") if inside else line)
    return tomllib.loads("\n".join(lines))


def test_rows_of_2018_are_labeled_for_what_they_have(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = experiment_from_dict(uncommented(), str(CONFIG))
    first, second = (Path(source.path) for source in experiment.data.sources)
    for path in (first, second):
        path.parent.mkdir(parents=True)
    new = build_sample(200, 10, 0)["train.csv"]
    new.to_csv(first, index=False)
    old = pd.DataFrame(np.eye(6, dtype=int), columns=LABELS_2018)
    old = old.assign(id=[f"o{n}" for n in range(6)], comment_text=[f"words {n}" for n in range(6)])
    old.to_csv(second, index=False)
    table = read_training_table(experiment)
    assert len(table) == 206 and table.ids[-6:].tolist() == [f"jigsaw_2018/o{n}" for n in range(6)]
    columns = experiment.label_columns
    labels = pd.DataFrame(table.labels, columns=columns)
    assert labels["sexual_explicit"][200:].isna().all() and labels[:200].notna().all().all()
    names = {
        "target": "toxic",
        "severe_toxicity": "severe_toxic",
        "identity_attack": "identity_hate",
    }
    for column in [c for c in columns if c != "sexual_explicit"]:
        assert labels[column][200:].tolist() == old[names.get(column, column)].tolist(), column
    assert np.isnan(table.identities[200:]).all(), "nobody looked for identities in them"
    assert (table.identities[:200] >= 0).any()
