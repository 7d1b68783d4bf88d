"""Logits of rows: the same in every batch, from several models at once, packed or padded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auxfold.data.dataset import TokenizedDataset, tokenize_dataset
from auxfold.errors import InputError
from auxfold.inference import predict
from auxfold.inference.predict import choose_max_tokens, predict_fold_logits, predict_logits
from auxfold.model.backbone import build_model
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.tokenizer import load_tokenizer
from conftest import make_experiment, make_frame

HEADS = {"main": 1, "aux": 2}


@pytest.fixture(scope="module")
def models(backbone) -> list[MultiTaskModel]:
    """Two models of one backbone with different heads' weights, one of them in training mode."""
    experiment = make_experiment("t", backbone)
    torch.manual_seed(1)
    first, second = (build_model(experiment, HEADS) for _ in range(2))
    return [first.eval(), second.train()]


def make_dataset(backbone: str, n_rows: int = 23, pairs: bool = False) -> TokenizedDataset:
    texts = [make_frame(n_rows, seed=2)["text"].tolist()]
    texts += [texts[0][::-1]] if pairs else []
    data = {"train": "t", "text": ["a", "b"] if pairs else "text"}
    settings = {"backbone": backbone, "max_length": 24, "symmetric_pairs": pairs}
    experiment = make_experiment("t", backbone, data=data, model=settings)
    return tokenize_dataset(texts, load_tokenizer(experiment.model), experiment.model)


def options(**changes) -> dict:
    return {"tasks": ["main", "aux"], "max_tokens": 60, "amp_dtype": "fp32", **changes}


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
def test_models_that_share_batches_predict_as_each_alone(backbone, models, pairs):
    dataset, indices = make_dataset(backbone, pairs=pairs), np.array([20, 3, 5, 0, 11, 7, 2])
    counts: list[int] = []
    together = predict_fold_logits(models, dataset, indices, **options(), on_batch=counts.append)
    assert sum(counts) == 2 * len(indices) and len(counts) > 2
    for model, logits in zip(models, together, strict=True):
        alone = predict_logits(model, dataset, indices, **options())
        assert list(logits) == ["main", "aux"]
        for name, width in HEADS.items():
            assert logits[name].shape == (7, width) and logits[name].dtype == np.float32
            np.testing.assert_array_equal(logits[name], alone[name])
    assert np.abs(together[0]["main"] - together[1]["main"]).max() > 1e-3
    assert [model.training for model in models] == [False, True], "as before"


def test_rows_are_those_of_the_model_itself(backbone, models):
    dataset, indices = make_dataset(backbone), np.array([4, 1, 9])
    logits = predict_logits(models[0], dataset, indices, **options())
    for position, index in enumerate(indices):
        with torch.no_grad():
            expected = models[0](**dataset.batch(np.array([index])))
        for name in HEADS:
            np.testing.assert_allclose(logits[name][position], expected[name][0], atol=1e-6)


def test_every_batch_is_made_once(backbone, models, monkeypatch):
    dataset, batches = make_dataset(backbone), []
    batch = TokenizedDataset.batch

    def record(self, indices, *args):
        batches.append(len(indices))
        return batch(self, indices, *args)

    monkeypatch.setattr(TokenizedDataset, "batch", record)
    predict_fold_logits(models, dataset, np.arange(23), **options())
    assert sum(batches) == 23


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
def test_packed_rows_have_the_logits_of_padded_ones(backbone, models, pairs):
    dataset, indices = make_dataset(backbone, pairs=pairs), np.arange(23)[::-1]
    padded = predict_fold_logits(models, dataset, indices, **options())
    packed = predict_fold_logits(models, dataset, indices, **options(packed=True))
    for expected, logits in zip(padded, packed, strict=True):
        for name in HEADS:
            np.testing.assert_allclose(logits[name], expected[name], atol=1e-5)


def test_logits_are_fetched_when_many_rows_wait(backbone, models, monkeypatch):
    dataset, indices = make_dataset(backbone), np.arange(23)
    expected = predict_logits(models[0], dataset, indices, **options())
    monkeypatch.setattr(predict, "FETCHED_ROWS", 5)
    fetches, fetch = [], predict._LogitCollector._fetch
    monkeypatch.setattr(
        predict._LogitCollector,
        "_fetch",
        lambda self: (fetches.append(len(self._waiting)), fetch(self)),
    )
    logits = predict_logits(models[0], dataset, indices, **options())
    assert len(fetches) > 2 and max(fetches) > 1, "several times, several batches at once"
    for name in HEADS:
        np.testing.assert_array_equal(logits[name], expected[name])


def test_no_rows_have_no_logits(backbone, models):
    assert predict_logits(models[0], make_dataset(backbone), np.arange(0), **options()) == {}


def test_the_budget_is_chosen_on_the_cpu_as_ever(backbone, models, monkeypatch):
    assert choose_max_tokens(models[0], "bf16", 24) == 1024
    budgets, split = [], predict.split_by_tokens
    monkeypatch.setattr(
        predict, "split_by_tokens", lambda i, n, budget: (budgets.append(budget), split(i, n, 9))[1]
    )
    predict_logits(models[0], make_dataset(backbone), np.arange(3), **options(max_tokens="auto"))
    assert budgets == [1024]


@pytest.fixture
def small_memory(models, monkeypatch) -> list[int]:
    """The second model fails on more than 100 tokens; the list has the tokens of its passes."""
    forward, sizes = models[1].forward, []

    def limited(*args, **kwargs):
        logits = forward(*args, **kwargs)
        sizes.append(kwargs["input_ids"].numel())
        if sizes[-1] > 100:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return logits

    monkeypatch.setattr(models[1], "forward", limited)
    yield sizes
    for model in models:
        model.max_prediction_tokens = None


def test_rows_that_do_not_fit_are_predicted_in_smaller_batches(backbone, models, small_memory):
    dataset, counts = make_dataset(backbone), []
    indices = np.arange(23)[::-1]
    with pytest.warns(UserWarning, match="ran out of memory: predictions go on with at most") as w:
        logits = predict_fold_logits(
            models, dataset, indices, **options(max_tokens=400), on_batch=counts.append
        )
    n_tokens = models[0].max_prediction_tokens
    assert f"at most {n_tokens} tokens" in str(w[-1].message) and n_tokens <= 100
    assert sum(counts) == 2 * 23, "every row counts once"
    assert [model.training for model in models] == [False, True], "as before"
    before = len(small_memory)
    again = predict_fold_logits(models, dataset, indices, **options(max_tokens=400))
    assert max(small_memory[before:]) <= 100, "the size is remembered"
    expected = predict_fold_logits(models, dataset, indices, **options(max_tokens=24))
    for ours, theirs in zip([*logits, *again], expected * 2, strict=True):
        for name in HEADS:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)


def test_a_row_that_does_not_fit_is_refused(backbone, models, monkeypatch):
    def fail(*args, **kwargs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(models[0], "forward", fail)
    with (
        pytest.warns(UserWarning, match="ran out of memory"),
        pytest.raises(InputError, match="too little memory to predict a single row at a time"),
    ):
        predict_logits(models[0], make_dataset(backbone), np.arange(3), **options())
    models[0].max_prediction_tokens = None
