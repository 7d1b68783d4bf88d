"""Adapters of one backbone have its frozen parameters in common, and nothing else."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from auxfold.errors import InputError
from auxfold.model import loading
from auxfold.model.amp import cast_linear_layers
from auxfold.model.backbone import build_model
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.shared_backbones import SharedBackbones
from conftest import make_backbone, make_experiment
from language_models import make_language_model

HEADS = {"main": 1, "aux": 2}
MODELS = [
    ("bert", "lora"), ("bert", "dora"), ("bert", "ia3"), ("bert", "prefix"), ("bert", "houlsby"),
    ("modernbert", "pfeiffer"), ("modernbert", "lora"), ("albert", "lora"),
]  # fmt: skip


FORMATS = [
    {},
    {"dtype": "bf16"},
    {"quantization": "int8"},
    {"dtype": "fp16", "quantization": "nf4"},
]


def save_adapters(
    folder: Path, backbone: str, kind: str, n_folds: int = 2, **settings: object
) -> list[Path]:
    """Folds whose trained parameters have other values each."""
    model = {"backbone": backbone, "adapter": {"kind": kind}, **settings}
    folds = []
    for fold in range(n_folds):
        built = build_model(make_experiment("t", backbone, model=model), HEADS)
        torch.manual_seed(fold)
        with torch.no_grad():
            for parameter in built.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.3)
        folds.append(folder / f"fold_{fold}")
        built.save_pretrained(folds[-1])
    return folds


def logits_of(model: MultiTaskModel) -> torch.Tensor:
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]])
    with torch.no_grad():
        outputs = model(input_ids=ids, attention_mask=(ids != 0).long())
    return torch.cat([outputs[name] for name in HEADS], dim=1)


def shared_names(first: MultiTaskModel, second: MultiTaskModel) -> set[str]:
    parameters = dict(second.named_parameters())
    return {name for name, p in first.named_parameters() if parameters[name] is p}


def frozen_names(model: MultiTaskModel) -> set[str]:
    return {name for name, p in model.named_parameters() if not p.requires_grad}


def count_loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets the name of every backbone that is loaded."""
    names, load = [], loading.load_reference_backbone

    def record(reference, *args, **options):
        names.append(reference["name"])
        return load(reference, *args, **options)

    monkeypatch.setattr(loading, "load_reference_backbone", record)
    return names


@pytest.mark.parametrize(("architecture", "kind"), MODELS)
def test_models_share_what_is_frozen_and_predict_as_alone(tmp_path, architecture, kind):
    backbone = make_backbone(tmp_path / "backbone", architecture)
    assert_shared(save_adapters(tmp_path, backbone, kind))


@pytest.mark.parametrize("formats", FORMATS, ids=str)
def test_language_models_share_weights_of_every_format(tmp_path, formats):
    backbone = make_language_model(tmp_path / "backbone")
    assert_shared(save_adapters(tmp_path, backbone, "lora", **formats))


def assert_shared(folds: list[Path]) -> None:
    """The very same frozen parameters, and the predictions of models that share nothing."""
    alone = [logits_of(MultiTaskModel.from_pretrained(fold)) for fold in folds]
    backbones = SharedBackbones()
    models = [MultiTaskModel.from_pretrained(fold, backbones=backbones) for fold in folds]
    assert shared_names(*models) == frozen_names(models[0]) == frozen_names(models[1])
    for model, expected in zip(models, alone, strict=True):
        assert not model.training
        assert torch.equal(logits_of(model), expected)
    assert (alone[0] - alone[1]).abs().max() > 1e-3
    first = logits_of(models[0])
    with torch.no_grad():
        for parameter in models[1].parameters():
            if parameter.requires_grad:
                parameter.zero_()
    assert torch.equal(logits_of(models[0]), first), "what is trained belongs to one model"
    del models[0]
    gc.collect()
    assert logits_of(models[0]).isfinite().all()


def test_a_pooler_is_trained_and_so_not_shared(tmp_path):
    backbone = make_backbone(tmp_path / "backbone")
    folds = save_adapters(tmp_path, backbone, "lora", pooling="pooler")
    alone = [logits_of(MultiTaskModel.from_pretrained(fold)) for fold in folds]
    backbones = SharedBackbones()
    models = [MultiTaskModel.from_pretrained(fold, backbones=backbones) for fold in folds]
    shared = shared_names(*models)
    assert not any("pooler" in name for name in shared) and shared == frozen_names(models[0])
    assert torch.equal(logits_of(models[0]), alone[0])
    assert torch.equal(logits_of(models[1]), alone[1])


def test_a_backbone_is_loaded_once_and_another_one_replaces_it(tmp_path, monkeypatch):
    names = count_loads(monkeypatch)
    first = make_backbone(tmp_path / "first")
    second = make_backbone(tmp_path / "second", "modernbert")
    of_first = save_adapters(tmp_path / "a", first, "lora", n_folds=3)
    of_second = save_adapters(tmp_path / "b", second, "lora", n_folds=1)
    backbones = SharedBackbones()
    model = MultiTaskModel.from_pretrained(of_first[0], backbones=backbones)
    for fold in of_first[1:]:
        MultiTaskModel.from_pretrained(fold, backbones=backbones)
    assert names == [first]
    parameter = weakref.ref(model.backbone.embeddings.word_embeddings.weight)
    del model
    MultiTaskModel.from_pretrained(of_second[0], backbones=backbones)
    gc.collect()
    assert parameter() is None, "no two backbones are in memory"
    MultiTaskModel.from_pretrained(of_first[0], backbones=backbones)
    assert names == [first, second, first]
    names.clear()
    keeping = SharedBackbones(keep_all=True)
    for fold in (*of_first, *of_second, *of_first):
        MultiTaskModel.from_pretrained(fold, backbones=keeping)
    assert names == [first, second]


def test_other_adapters_and_settings_of_the_same_backbone(tmp_path, monkeypatch):
    """A rank may be another one. What a GPU may cast in another way has weights of its own."""
    names = count_loads(monkeypatch)
    backbone = make_backbone(tmp_path / "backbone")
    (lora,) = save_adapters(tmp_path / "lora", backbone, "lora", n_folds=1)
    model = {"adapter": {"kind": "lora", "rank": 2, "target_modules": ["key", "dense"]}}
    other = build_model(make_experiment("t", backbone, model=model), {"rest": 3})
    other.save_pretrained(tmp_path / "other")
    (houlsby,) = save_adapters(tmp_path / "houlsby", backbone, "houlsby", n_folds=1)
    backbones = SharedBackbones(keep_all=True)
    for path in (lora, tmp_path / "other", houlsby):
        loaded = MultiTaskModel.from_pretrained(path, backbones=backbones)
        assert not any("lora" in name for name in frozen_names(loaded))
    assert names == [backbone, backbone]
    for attention in ("sdpa", "eager", "sdpa"):
        options = {"attn_implementation": attention, "backbones": backbones}
        loaded = MultiTaskModel.from_pretrained(lora, **options)
        assert loaded.backbone.config._attn_implementation == attention
    assert names == [backbone] * 4
    expected = logits_of(MultiTaskModel.from_pretrained(lora))
    again = MultiTaskModel.from_pretrained(lora, backbones=backbones)
    assert torch.equal(logits_of(again), expected)


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3", "houlsby"])
def test_a_backbone_that_was_cast_does_not_round_what_is_trained(tmp_path, kind):
    """On a GPU the linear layers of the first model are cast before the second one is loaded."""
    backbone = make_backbone(tmp_path / "backbone")
    folds = save_adapters(tmp_path, backbone, kind)

    def load(fold: Path, backbones: SharedBackbones | None) -> MultiTaskModel:
        model = MultiTaskModel.from_pretrained(fold, dtype=torch.float32, backbones=backbones)
        assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
        cast_linear_layers(model.backbone, "bf16")
        return model

    alone = [load(fold, None) for fold in folds]
    backbones = SharedBackbones()
    together = [load(fold, backbones) for fold in folds]
    for model, expected in zip(together, alone, strict=True):
        state, expected_state = model.state_dict(), expected.state_dict()
        assert state.keys() == expected_state.keys()
        for name, values in expected_state.items():
            assert state[name].dtype == values.dtype and torch.equal(state[name], values), name


def test_a_copy_of_the_backbone_may_be_elsewhere(tmp_path):
    backbone = make_backbone(tmp_path / "backbone")
    (fold,) = save_adapters(tmp_path, backbone, "lora", n_folds=1)
    expected = logits_of(MultiTaskModel.from_pretrained(fold))
    shutil.move(backbone, tmp_path / "copies/b")
    with pytest.raises(InputError, match="cannot be loaded from here"):
        MultiTaskModel.from_pretrained(fold)
    backbones = SharedBackbones(folder=str(tmp_path / "copies/b"))
    assert torch.equal(
        logits_of(MultiTaskModel.from_pretrained(fold, backbones=backbones)), expected
    )
    config = json.loads((fold / "config.json").read_text())
    config["reference"]["path"] = "../copies/b"
    (fold / "config.json").write_text(json.dumps(config))
    loaded = MultiTaskModel.from_pretrained(fold)
    assert torch.equal(logits_of(loaded), expected)
    loaded.save_pretrained(tmp_path / "far/from/it")
    with pytest.raises(InputError, match=f"adapter of the backbone {backbone!r}, which cannot be"):
        MultiTaskModel.from_pretrained(tmp_path / "far/from/it")
    other = AutoModel.from_pretrained(tmp_path / "copies/b")
    with torch.no_grad():
        other.encoder.layer[1].output.dense.bias[3] += 1e-3
    other.save_pretrained(tmp_path / "copies/b")
    with pytest.raises(InputError, match="not the one that this fold's adapter was trained on"):
        MultiTaskModel.from_pretrained(fold)
