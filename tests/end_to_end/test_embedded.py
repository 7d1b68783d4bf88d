"""The embedded pretrained backbone brings what it knows: it ranks words it was never trained on."""

from __future__ import annotations

import json

import pandas as pd
from transformers import AutoConfig, AutoModel, AutoTokenizer

from auxfold.model.reference import backbone_path
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment

FOOD = ("bread cheese soup apples carrots rice noodles pancakes honey butter grapes pumpkin "
        "salad pasta biscuits yoghurt").split()  # fmt: skip
TRANSPORT = ("bicycles trains buses ferries lorries tractors trams aeroplanes motorcycles canoes "
             "helicopters taxis sledges scooters submarines rockets").split()  # fmt: skip
SENTENCES = ("We talked about {} yesterday.", "My neighbour likes {}.", "{} are everywhere here.",
             "I read an article on {} and {}.")  # fmt: skip


def word_frame() -> pd.DataFrame:
    """One row per word and sentence: ``food`` to learn, ``transport`` as its auxiliary target."""
    rows = [
        {"word": word, "text": sentence.format(word, word), "food": float(word in FOOD)}
        for word in FOOD + TRANSPORT
        for sentence in SENTENCES
    ]
    frame = pd.DataFrame(rows)
    frame["id"] = [f"r{n}" for n in range(len(frame))]
    return frame.assign(transport=1 - frame["food"])


def auc_on_unseen_words(backbone: str, name: str) -> float:
    """Words are groups: those of the validation fold stand in no training row."""
    experiment = make_experiment(
        "words.csv", backbone, name=name,
        data={"train": "words.csv", "group": "word"},
        tasks=[
            {"name": "main", "kind": "binary", "columns": ["food"], "main": True},
            {"name": "aux", "kind": "binary", "columns": ["transport"], "weight": 0.5},
        ],
        train={"epochs": 2, "learning_rate": 1e-4, "head_learning_rate": 1e-2,
               "precision": "auto"},
    )  # fmt: skip
    create_folds(experiment)
    return json.loads(train_fold(experiment, 0).metrics.read_text())["main/auc"]


def test_the_embedded_backbone_generalises_and_a_random_one_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    word_frame().to_csv("words.csv", index=False)
    path = backbone_path("embedded")
    AutoModel.from_config(AutoConfig.from_pretrained(path)).save_pretrained("random")
    AutoTokenizer.from_pretrained(path).save_pretrained("random")
    assert auc_on_unseen_words("embedded", "pretrained") > 0.97
    assert auc_on_unseen_words("random", "random") < 0.8
