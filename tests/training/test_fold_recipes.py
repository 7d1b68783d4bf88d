"""The recipe switches do what they say, and nothing while they are off."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import auxfold
from auxfold.config import BinarySettings, Train
from auxfold.data.batches import swap_mask
from auxfold.data.dataset import tokenize_dataset
from auxfold.errors import InputError
from auxfold.inference.predict import predict_logits
from auxfold.model.backbone import build_model
from auxfold.model.tokenizer import load_tokenizer
from auxfold.storage.atomic import read_json
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.metrics import f1_at_half
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.optimizer import MovingAverage, parameter_groups
from auxfold.training.split import create_folds
from conftest import make_backbone, make_experiment, make_frame


def test_layer_decay_slows_each_layer_by_the_one_above(tmp_path):
    experiment = make_experiment("t", make_backbone(tmp_path))
    model = build_model(experiment, {"main": 1})
    groups = parameter_groups(
        model, Train(learning_rate=1.0, head_learning_rate=9.0, layerwise_lr_decay=0.5)
    )
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    assert rates["heads.main.weight"] == 9.0
    assert rates["backbone.encoder.layer.1.attention.self.query.weight"] == 1.0
    assert rates["backbone.encoder.layer.0.output.LayerNorm.bias"] == 0.5
    assert rates["backbone.embeddings.word_embeddings.weight"] == 0.25
    assert groups[0]["lr"] == 1.0, "the rate that curves show is the top layer's"


@pytest.mark.parametrize(
    ("architecture", "bottom"),
    [("modernbert", "backbone.layers.0."), ("deberta-v2", "backbone.encoder.layer.0.")],
)
def test_layers_are_numbered_in_other_architectures(tmp_path, architecture, bottom):
    experiment = make_experiment("t", make_backbone(tmp_path, architecture))
    model = build_model(experiment, {"main": 1})
    groups = parameter_groups(model, Train(learning_rate=1.0, layerwise_lr_decay=0.5))
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    assert {rate for name, rate in rates.items() if name.startswith(bottom)} == {0.5}


def test_layer_decay_without_layers_is_refused(tmp_path):
    experiment = make_experiment("t", make_backbone(tmp_path, "albert"))
    model = build_model(experiment, {"main": 1})
    assert parameter_groups(model, Train())
    with pytest.raises(
        InputError, match="layerwise_lr_decay: this backbone has no layers that run"
    ):
        parameter_groups(model, Train(layerwise_lr_decay=0.9))


def test_averaged_weights_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    ema = MovingAverage(model, decay=0.5)
    expected, taken, skipped = None, torch.tensor(1.0), torch.tensor(0.0)
    for step, value in enumerate([8.0, 4.0, 2.0, 1.0, 0.0, 3.0, 7.0]):
        with torch.no_grad():
            model.weight.fill_(value)
        ema.update(model, taken)
        share = 1 - min(0.5, (1 + step) / (10 + step))
        expected = value if expected is None else expected + share * (value - expected)
        ema.update(model, skipped)
        assert float(ema.module.weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_the_average_is_evaluated_stored_and_resumed(work_dir, backbone, monkeypatch):
    plain = make_experiment("train.csv", backbone, name="plain")
    slow = make_experiment("train.csv", backbone, name="slow", train={"ema": 0.999})
    for experiment in (plain, slow):
        create_folds(experiment)
    texts = make_frame(20, 3)["text"]
    train_fold(plain, 0)
    whole = train_fold(slow, 0)
    first = auxfold.load("outputs/plain/fold_0").predict(texts)
    second = auxfold.load(whole.path).predict(texts)
    assert np.abs(first - second).max().max() > 1e-4, "other weights than the last ones"
    scores = read_json(whole.metrics)
    whole.path.rename("outputs/slow/whole")

    class Interrupted(Exception):
        pass

    take_step, steps = FoldTrainer.take_step, []

    def interrupt(self, indices):
        take_step(self, indices)
        steps.append(indices)
        if len(steps) == 6:
            self.save()
            raise Interrupted

    monkeypatch.setattr(FoldTrainer, "take_step", interrupt)
    with pytest.raises(Interrupted):
        train_fold(slow, 0)
    monkeypatch.setattr(FoldTrainer, "take_step", take_step)
    again = train_fold(slow, 0, resume=True)
    assert read_json(again.metrics) == scores
    third = auxfold.load(again.path).predict(texts)
    np.testing.assert_array_equal(third, second)


def test_the_last_checkpoint_can_be_stored(work_dir, backbone, monkeypatch):
    scores = iter([0.9, 0.2])
    select, keep_weights = FoldTrainer.select, FoldTrainer.keep_weights
    monkeypatch.setattr(
        FoldTrainer, "select", lambda self, m: select(self, {**m, "main/auc": next(scores)})
    )
    epochs = []
    experiment = make_experiment("train.csv", backbone, selection={"keep": "last"})
    create_folds(experiment)

    def watch(self):
        epochs.append(self.progress.epoch)
        keep_weights(self)

    monkeypatch.setattr(FoldTrainer, "keep_weights", watch)
    folder = train_fold(experiment, 0)
    assert epochs == [0, 1]
    assert read_json(folder.run)["selection"]["value"] == 0.9


def pair_rows(backbone: str, **changes):
    experiment = make_experiment(
        "t", backbone, data={"train": "t", "text": ["a", "b"]}, model={**changes}
    )
    frame = make_frame(12)
    first, second = frame["text"].tolist(), frame["text"].tolist()[::-1]
    tokenizer = load_tokenizer(experiment.model)
    model = build_model(experiment, {"main": 1}).eval()
    return experiment, model, tokenizer, first, second


def test_both_orders_are_predicted_and_averaged(backbone):
    experiment, model, tokenizer, first, second = pair_rows(backbone, symmetric_pairs=True)
    plain = experiment.model.model_copy(update={"symmetric_pairs": False})
    options = {"tasks": ["main"], "max_tokens": 200, "amp_dtype": "fp32"}
    indices = np.arange(12)

    def logits(texts, settings):
        dataset = tokenize_dataset(texts, tokenizer, settings)
        return predict_logits(model, dataset, indices, **options)["main"]

    straight, swapped = (logits(t, plain) for t in ([first, second], [second, first]))
    assert np.abs(straight - swapped).max() > 1e-4
    both = logits([first, second], experiment.model)
    np.testing.assert_allclose(both, (straight + swapped) / 2, atol=1e-6)
    np.testing.assert_allclose(both, logits([second, first], experiment.model), atol=1e-6)


def test_a_swapped_row_is_the_other_pair(backbone):
    experiment, _, tokenizer, first, second = pair_rows(backbone)
    straight = tokenize_dataset([first, second], tokenizer, experiment.model)
    other = tokenize_dataset([second, first], tokenizer, experiment.model)
    swapped = straight.batch(np.array([3, 5]), np.array([True, False]))
    assert swapped["input_ids"][0].tolist()[: other.lengths()[3]] == (
        other.batch(np.array([3]))["input_ids"][0].tolist()
    )
    assert swapped["input_ids"][1].tolist()[: straight.lengths()[5]] == (
        straight.batch(np.array([5]))["input_ids"][0].tolist()
    )


def test_half_the_pairs_are_swapped_and_others_in_every_epoch():
    first, again, other = (swap_mask(4000, 7, epoch) for epoch in (0, 0, 1))
    assert (first == again).all() and 0.45 < first.mean() < 0.55
    assert 0.4 < (first != other).mean() < 0.6


def test_both_orders_want_pairs(backbone):
    with pytest.raises(InputError, match="symmetric_pairs is for text pairs"):
        make_experiment("t", backbone, model={"symmetric_pairs": True})


def test_several_dropout_masks_average_their_logits_in_training_only(backbone):
    spread_and_logit = {}
    for samples in (1, 8):
        experiment = make_experiment(
            "t", backbone, model={"multisample_dropout": samples, "head_dropout": 0.5,
                                  "hidden_dropout": 0.0, "attention_dropout": 0.0}
        )  # fmt: skip
        torch.manual_seed(0)
        model = build_model(experiment, {"main": 1})
        batch = {"input_ids": torch.tensor([[2, 5, 6, 3]]),
                 "attention_mask": torch.ones(1, 4, dtype=torch.long)}  # fmt: skip
        with torch.no_grad():
            model.train()
            logits = torch.stack([model(**batch)["main"] for _ in range(300)])
            spread_and_logit[samples] = (float(logits.std()), float(model.eval()(**batch)["main"]))
    (spread_of_one, single), (spread_of_eight, several) = spread_and_logit.values()
    assert single == several, "no mask in prediction"
    assert spread_of_eight == pytest.approx(spread_of_one / 8**0.5, rel=0.25)


def test_smoothed_binary_labels_by_hand():
    settings = BinarySettings(name="t", kind="binary", columns=["y"], label_smoothing=0.2)
    losses = BinaryTask(settings).cell_losses(
        torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [0.0]])
    )
    p = 1 / (1 + np.exp(-2.0))
    expected = [np.log(2), -(0.1 * np.log(p) + 0.9 * np.log(1 - p))]
    np.testing.assert_allclose(losses[:, 0], expected, rtol=1e-6)


def test_f1_at_half_by_hand():
    labels = np.array([1.0, 0.5, 0.0, 0.2, np.nan])
    assert f1_at_half(labels, np.array([0.9, 0.4, 0.5, 0.1, 0.9])) == pytest.approx(0.5)
    assert f1_at_half(np.zeros(2), np.ones(2)) is None
    assert f1_at_half(np.ones(2), np.zeros(2)) == 0.0
