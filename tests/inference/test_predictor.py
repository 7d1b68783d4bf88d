"""Texts in, a DataFrame out: the same numbers as of the scripts, in the order of the texts."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import auxfold
from auxfold.errors import InputError
from auxfold.inference import predictor
from auxfold.inference.ensemble import Ensemble
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

TEXTS = ["silly goose", "the garden is good", "", "goose " * 30, "rain"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, backbone):
    """``outputs/`` with two folds each of an experiment on texts and of one on pairs."""
    workdir = tmp_path_factory.mktemp("predictor")
    frame = make_frame(40)
    frame["title"] = frame["text"].str.split().str[0]
    frame.to_csv(workdir / "train.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir)
        for name, text in (("tiny", "text"), ("pairs", ["title", "text"])):
            data = {"train": "train.csv", "text": text}
            experiment = make_experiment("train.csv", backbone, name=name, data=data,
                                         train={"epochs": 1, "learning_rate": 1e-2})  # fmt: skip
            create_folds(experiment)
            for fold in (0, 1):
                train_fold(experiment, fold)
    return workdir / "outputs"


@pytest.fixture(scope="module")
def model(outputs):
    return auxfold.load(outputs / "tiny")


def test_equal_to_the_fold_models_by_hand(outputs, model):
    together = model.predict(TEXTS, tasks="all")
    assert list(together.columns) == ["toxic", "insult", "threat"]
    single = [auxfold.load(outputs / f"tiny/fold_{k}").predict(TEXTS, tasks="all") for k in (0, 1)]
    np.testing.assert_allclose(together, (single[0] + single[1]) / 2, atol=1e-7)
    assert np.abs(single[0] - single[1]).to_numpy().max() > 1e-4
    by_logit = model.predict(TEXTS, average="logit")["toxic"]
    logits = sum(np.log(s["toxic"] / (1 - s["toxic"])) for s in single) / 2
    np.testing.assert_allclose(by_logit, 1 / (1 + np.exp(-logits)), atol=1e-7)


def test_every_shape_of_input_gives_the_same_rows_under_its_own_index(model):
    expected = model.predict(TEXTS)
    assert list(expected.columns) == ["toxic"] and expected.index.tolist() == [0, 1, 2, 3, 4]
    index = ["e", "d", "c", "c", "a"]
    as_series = model.predict(pd.Series(TEXTS, index=index))
    as_frame = model.predict(pd.DataFrame({"text": TEXTS, "other": 1}, index=index))
    as_array = model.predict(np.array(TEXTS, dtype=object))
    assert as_series.index.tolist() == as_frame.index.tolist() == index
    for predictions in (as_series, as_frame, as_array):
        np.testing.assert_array_equal(predictions.to_numpy(), expected.to_numpy())
    np.testing.assert_allclose(model.predict(TEXTS[0]), expected.iloc[:1], atol=1e-6)
    assert model.predict([]).shape == (0, 1)


def test_many_rows_go_in_chunks_and_over_devices(outputs, model, monkeypatch):
    texts = make_frame(33, seed=4)["text"].tolist()
    expected = model.predict(texts, tasks=["aux", "main"])
    assert list(expected.columns) == ["insult", "threat", "toxic"]
    monkeypatch.setattr(predictor, "CHUNK_SIZE", 10)
    several = auxfold.load(outputs / "tiny", devices=["cpu", "cpu", "cpu"])
    predictions = several.predict(texts, tasks=["aux", "main"])
    np.testing.assert_allclose(predictions, expected, atol=1e-6)
    np.testing.assert_allclose(several.predict(texts[0]), expected[["toxic"]].iloc[:1], atol=1e-6)


def test_pairs(outputs):
    model = auxfold.load(outputs / "pairs")
    pairs = [("goose", "the garden"), ("rain", "goose goose")]
    expected = model.predict(pairs)
    frame = pd.DataFrame(pairs, columns=["title", "text"], index=[7, 3])
    predictions = model.predict(frame)
    assert predictions.index.tolist() == [7, 3]
    np.testing.assert_array_equal(predictions.to_numpy(), expected.to_numpy())
    swapped = model.predict([(b, a) for a, b in pairs])
    assert np.abs(swapped.to_numpy() - expected.to_numpy()).max() > 1e-6


def test_only_the_named_heads_are_computed(model):
    called = []
    for models in model.models:
        for name, head in models[0].heads.items():
            head.register_forward_hook(lambda *_, name=name: called.append(name))
    model.predict("goose")
    assert called == ["main"]


def test_other_averages_and_the_rows_that_a_rank_depends_on(outputs, model, monkeypatch):
    texts = make_frame(33, seed=4)["text"].tolist()
    single = [auxfold.load(outputs / f"tiny/fold_{k}").predict(texts)["toxic"] for k in (0, 1)]
    power = model.predict(texts, average="power")["toxic"]
    np.testing.assert_allclose(power, (sum(s**3.5 for s in single) / 2) ** (1 / 3.5), atol=1e-6)
    expected = sum(s.rank() for s in single) / 2 / 33
    monkeypatch.setattr(predictor, "CHUNK_SIZE", 10)  # ranks are among all rows of the call
    several = auxfold.load(outputs / "tiny", devices=["cpu", "cpu"])
    np.testing.assert_allclose(several.predict(texts, average="rank")["toxic"], expected, atol=0.05)
    assert abs(several.predict(texts, average="rank")["toxic"].mean() - 17 / 33) < 1e-9
    with pytest.raises(InputError, match="there is only one row"):
        model.predict("goose", average="rank")
    with pytest.raises(InputError, match="average = 'pwoer' .did you mean 'power'"):
        model.predict(texts, average="pwoer")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["good", None], "row 2 is not a text: None"),
        ([1.5], "row 1 is not a text: 1.5"),
        (["whole \U0001f600", "half \ud83d"], r"row 2: the text holds '\\ud83d', which is half of"),
        (["caf\udce9"], r"row 1: the text holds '\\udce9', .* or a byte that is not UTF-8"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "several columns 'text'; keep"),
        (pd.DataFrame({"txt": ["a"]}), "no text column 'text' .did you mean 'txt'"),
    ],
)
def test_what_is_not_a_text_is_refused(model, texts, expected):
    with pytest.raises(InputError, match=expected):
        model.predict(texts)


def test_what_cannot_be_loaded_is_refused(outputs, model):
    with pytest.raises(InputError, match="holds no trained fold"):
        auxfold.load(outputs / "nothing")
    with pytest.raises(InputError, match="fold 3 not trained yet"):
        Ensemble.from_folder(outputs / "tiny", folds=[0, 3])
    with pytest.raises(InputError, match="no task 'mian' .did you mean 'main'"):
        model.predict("a", tasks="mian")


def test_a_fold_folder_describes_itself(outputs):
    card = (outputs / "tiny/fold_0/README.md").read_text()
    front, body = card.split("---\n")[1:3]
    assert "pipeline_tag: text-classification" in front and "type: auc" in front
    run = (outputs / "tiny/fold_0/run.json").read_text()
    fingerprint = body.split("data fingerprint is\n`")[1].split("`")[0]
    assert f'"data_fingerprint": "{fingerprint}"' in run
    assert "| `main` (main) | binary | `toxic` | 1 |" in body
    assert "| `aux` | binary | `insult`, `threat` | 0.5 |" in body


def test_texts_that_the_backbone_was_not_made_for_are_warned_about_once(outputs):
    model = auxfold.load(outputs / "tiny")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(["zebra quagga"])  # too short to tell
        model.predict(["the garden is good"] * 20)
    model = auxfold.load(outputs / "tiny")
    with pytest.warns(UserWarning, match="does not know 100.0% of the tokens of the texts") as log:
        model.predict(["zebra quagga okapi"] * 20)
        model.predict(["zebra quagga okapi"] * 20)
    assert len(log) == 1 and log[0].filename == __file__
