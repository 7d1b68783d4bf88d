"""Adapters: what is trained and stored, initialization, the reference backbone, and merging."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from auxfold.errors import InputError
from auxfold.model.adapters.bottleneck import Bottleneck
from auxfold.model.adapters.injection import add_adapter, parse_adapter_settings
from auxfold.model.backbone import build_model, count_trainable_parameters, describe_parameters
from auxfold.model.multitask import MultiTaskModel
from conftest import ARCHITECTURES, make_backbone, make_experiment
from forked import run_forked

HEADS = {"main": 1, "aux": 2}
KINDS = ("lora", "dora", "ia3", "prefix", "pfeiffer", "houlsby")
MERGEABLE = ("lora", "dora", "ia3")
PREFIX_ARCHITECTURES = ("bert", "roberta", "xlm-roberta", "electra")
PAIRS = [(k, a) for k in KINDS for a in ARCHITECTURES if k != "prefix" or a in PREFIX_ARCHITECTURES]
BERT_LAYER = "backbone.encoder.layer.{}."
TRAINABLE_NAMES = {
    "lora": [
        f"attention.self.{p}.lora_{m}.default.weight" for p in ("query", "value") for m in "AB"
    ],
    "dora": [
        f"attention.self.{p}.lora_{m}.default.weight"
        for p in ("query", "value")
        for m in ("A", "B", "magnitude_vector")
    ],
    "ia3": [
        "attention.self.key.ia3_l.default",
        "attention.self.value.ia3_l.default",
        "attention.output.dense.ia3_l.default",
        "output.dense.ia3_l.default",
    ],
    "pfeiffer": [
        f"output.LayerNorm.bottleneck.{d}.{p}" for d in ("down", "up") for p in ("weight", "bias")
    ],
    "houlsby": [
        f"{module}.bottleneck.{d}.{p}"
        for module in ("attention.output.dropout", "output.dropout")
        for d in ("down", "up")
        for p in ("weight", "bias")
    ],
}


def make_adapted_model(
    folder: Path, kind: str, architecture: str = "bert", **settings
) -> MultiTaskModel:
    """A model in evaluation mode with an adapter that no longer is in its initial state."""
    path = make_backbone(folder, architecture)
    model = build_model(experiment_for(path, kind, **settings), HEADS)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and name.startswith("backbone."):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.eval()


def experiment_for(path: str, kind: str, **settings):
    adapter = {"kind": kind, **settings}
    return make_experiment("t", path, model={"backbone": path, "adapter": adapter})


def make_batch() -> dict[str, torch.Tensor]:
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]])
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def assert_same_logits(
    model: MultiTaskModel, other: MultiTaskModel, tolerance: float = 1e-6
) -> None:
    with torch.no_grad():
        expected, logits = model(**make_batch()), other(**make_batch())
    for name in HEADS:
        torch.testing.assert_close(logits[name], expected[name], atol=tolerance, rtol=0)


def trainable_names(model: MultiTaskModel) -> list[str]:
    return sorted(name for name, p in model.named_parameters() if p.requires_grad)


@pytest.mark.parametrize(("kind", "architecture"), PAIRS)
def test_an_adapter_does_not_change_the_backbone_at_first(tmp_path, kind, architecture):
    path = make_backbone(tmp_path, architecture)
    plain = build_model(make_experiment("t", path), HEADS).eval()
    model = build_model(experiment_for(path, kind), HEADS).eval()
    model.heads.load_state_dict(plain.heads.state_dict())
    if kind in ("pfeiffer", "houlsby"):
        assert_same_logits(
            plain, model, tolerance=0.05
        )  # the library starts them near zero, not at it
        for module in model.modules():
            if isinstance(module, Bottleneck):
                torch.nn.init.zeros_(module.up.weight)
    if kind == "prefix":  # attended to, so never quite nothing
        assert_same_logits(plain, model, tolerance=0.5)
        return
    assert_same_logits(plain, model)


@pytest.mark.parametrize(("kind", "architecture"), PAIRS)
def test_a_step_changes_the_adapter_and_the_heads_and_nothing_else(tmp_path, kind, architecture):
    path = make_backbone(tmp_path, architecture)
    model = build_model(experiment_for(path, kind), HEADS).train()
    names = trainable_names(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    # Adam, with next to no floor: gradients of queries and keys are tiny in so small a backbone.
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], eps=1e-30)
    for _ in range(2):  # the first leaves LoRA's A as it is, behind a B of zeros
        optimizer.zero_grad()
        sum((values**2).sum() for values in model(**make_batch()).values()).backward()
        optimizer.step()
    changed = [n for n, p in model.named_parameters() if not torch.equal(p, before[n])]
    assert sorted(changed) == names
    published = dict(AutoModel.from_pretrained(path).named_parameters())
    frozen = {
        name.removeprefix("backbone.").replace(".base_layer", ""): p
        for name, p in model.named_parameters()
        if name not in names
    }
    assert frozen.keys() == {name for name in published if not name.startswith("pooler.")}
    assert all(torch.equal(published[name], p) for name, p in frozen.items())


@pytest.mark.parametrize("kind", TRAINABLE_NAMES)
def test_only_the_adapter_and_the_heads_are_trained(tmp_path, kind):
    model = build_model(experiment_for(make_backbone(tmp_path), kind), HEADS)
    layers = [BERT_LAYER.format(layer) + name for layer in (0, 1) for name in TRAINABLE_NAMES[kind]]
    heads = [f"heads.{name}.{p}" for name in HEADS for p in ("weight", "bias")]
    assert trainable_names(model) == sorted([*layers, *heads])


@pytest.mark.parametrize("kind", ["lora", "pfeiffer"])
def test_a_pooler_is_trained_with_the_heads(tmp_path, kind):
    backbone = AutoModel.from_pretrained(make_backbone(tmp_path))
    add_adapter(backbone, parse_adapter_settings({"kind": kind}))
    trained = [name for name, p in backbone.named_parameters() if p.requires_grad]
    assert {"pooler.dense.weight", "pooler.dense.bias"} < set(trained)


def test_a_prefix_is_a_key_and_a_value_per_layer(tmp_path):
    settings = {"prefix_length": 3}
    model = build_model(experiment_for(make_backbone(tmp_path), "prefix", **settings), HEADS)
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters() if p.requires_grad}
    assert {n: s for n, s in shapes.items() if n.startswith("backbone.")} == {
        f"backbone.prefix.layer.{layer}.{part}": (3, 16)
        for layer in (0, 1)
        for part in ("key", "value")
    }


@pytest.mark.parametrize(
    ("kind", "architecture", "pooling"),
    [(*pair, "mean") for pair in PAIRS] + [(kind, "bert", "attention") for kind in KINDS],
)
def test_a_row_does_not_depend_on_its_batch(tmp_path, kind, architecture, pooling):
    path = make_backbone(tmp_path, architecture)
    experiment = experiment_for(path, kind)
    experiment = make_experiment(
        "t", path, model={**experiment.model.model_dump(), "pooling": pooling}
    )
    model = build_model(experiment, HEADS).eval()
    row = torch.tensor([[2, 7, 8, 9, 3]])
    alone = model(input_ids=row, attention_mask=torch.ones_like(row))
    padded = torch.cat([row, torch.zeros(1, 7, dtype=torch.long)], dim=1)
    mask = torch.tensor([[1] * 5 + [0] * 7, [1] * 12])
    together = model(
        input_ids=torch.cat([padded, torch.randint(5, 20, (1, 12))]), attention_mask=mask
    )
    for name in HEADS:
        torch.testing.assert_close(together[name][:1], alone[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kind", "architecture"), PAIRS)
def test_only_trained_parameters_are_stored_and_they_load(tmp_path, kind, architecture):
    model = make_adapted_model(tmp_path / "backbone", kind, architecture)
    model.save_pretrained(tmp_path / "saved")
    stored = load_file(tmp_path / "saved/model.safetensors")
    assert sorted(stored) == trainable_names(model)
    assert sum(values.numel() for values in stored.values()) == count_trainable_parameters(model)
    loaded = MultiTaskModel.from_pretrained(tmp_path / "saved")
    assert not loaded.training and trainable_names(loaded) == trainable_names(model)
    assert_same_logits(model, loaded)
    assert_same_logits(model, AutoModel.from_pretrained(tmp_path / "saved"))
    assert_same_logits(model, copy.deepcopy(model))
    loaded.save_pretrained(tmp_path / "again")
    again = load_file(tmp_path / "again/model.safetensors")
    assert again.keys() == stored.keys()
    assert all(torch.equal(again[name], stored[name]) for name in stored)


@pytest.mark.parametrize(("kind", "architecture"), PAIRS)
def test_a_merged_model_is_plain_and_gives_the_same_logits(tmp_path, kind, architecture):
    model = make_adapted_model(tmp_path / "backbone", kind, architecture)
    model.save_pretrained(tmp_path / "saved")
    merged = MultiTaskModel.from_pretrained(tmp_path / "saved").merge()
    assert_same_logits(model, merged, tolerance=1e-5)
    merged.save_pretrained(tmp_path / "merged")
    (tmp_path / "backbone").rename(tmp_path / "gone")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "merged").eval()
    assert_same_logits(model, loaded, tolerance=1e-5)
    assert loaded.config.reference is None
    if kind in MERGEABLE:
        assert loaded.config.adapter is None
        names = {n.removeprefix("backbone.") for n, _ in loaded.backbone.named_parameters()}
        assert names == {
            name
            for name, _ in AutoModel.from_pretrained(tmp_path / "gone").named_parameters()
            if not name.startswith("pooler.")
        }


def test_another_and_a_missing_backbone_are_refused(tmp_path):
    model = make_adapted_model(tmp_path / "backbone", "lora")
    model.save_pretrained(tmp_path / "saved")
    other = AutoModel.from_pretrained(tmp_path / "backbone")
    with torch.no_grad():
        other.encoder.layer[1].output.dense.bias[3] += 1e-3
    other.save_pretrained(tmp_path / "backbone")
    with pytest.raises(InputError, match="not the one that this fold's adapter was trained on"):
        MultiTaskModel.from_pretrained(tmp_path / "saved")
    (tmp_path / "backbone").rename(tmp_path / "gone")
    with pytest.raises(InputError, match="adapter of the backbone .*cannot be loaded") as error:
        MultiTaskModel.from_pretrained(tmp_path / "saved")
    assert "\n" not in str(error.value)


def test_a_backbone_saved_in_another_format_is_the_same_backbone(tmp_path):
    model = make_adapted_model(tmp_path / "backbone", "pfeiffer", "deberta-v2")
    model.save_pretrained(tmp_path / "saved")
    backbone = AutoModel.from_pretrained(tmp_path / "backbone")
    (tmp_path / "backbone/model.safetensors").unlink()
    torch.save(backbone.state_dict(), tmp_path / "backbone/pytorch_model.bin")
    assert_same_logits(model, MultiTaskModel.from_pretrained(tmp_path / "saved"))


def test_an_option_without_effect_on_a_model_with_reference_is_refused(tmp_path):
    make_adapted_model(tmp_path / "backbone", "lora").save_pretrained(tmp_path / "saved")
    with pytest.raises(InputError, match="device_map .*merge.py"):
        MultiTaskModel.from_pretrained(tmp_path / "saved", device_map="auto")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "saved", dtype=torch.float16)
    assert {p.dtype for p in loaded.parameters()} == {torch.float16}


@pytest.mark.parametrize("kind", ["pfeiffer", "houlsby"])
def test_a_layer_with_bottlenecks_by_hand(tmp_path, kind):
    model = make_adapted_model(tmp_path, kind)
    layer = model.backbone.encoder.layer[0]
    calls = []
    layer.output.register_forward_hook(lambda _, inputs, output: calls.append((*inputs, output)))
    model(**make_batch())
    hidden, x, output = calls[0]
    h, norm = layer.output.dense(hidden), layer.output.LayerNorm

    def ln(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(values, (16,), norm.weight, norm.bias, norm.eps)

    if kind == "pfeiffer":
        adapter = norm.bottleneck
        change = adapter.up(torch.relu(adapter.down(ln(h + x))))
    else:
        adapter = layer.output.dropout.bottleneck
        change = adapter.up(torch.nn.functional.silu(adapter.down(h)))
    torch.testing.assert_close(output, ln(h + x + change), atol=1e-5, rtol=0)
    assert not torch.allclose(output, ln(h + x), atol=1e-2)


def test_width_and_activation_of_a_bottleneck(tmp_path):
    by_default = (
        make_adapted_model(tmp_path / "a", "houlsby").backbone.encoder.layer[1].output.dropout
    )
    assert by_default.bottleneck.down.weight.shape == (1, 16)
    model = make_adapted_model(
        tmp_path / "b", "houlsby", reduction_factor=4, activation="gelu", dropout=0.5
    )
    bottleneck = model.backbone.encoder.layer[1].output.dropout.bottleneck
    assert bottleneck.down.weight.shape == (4, 16) and bottleneck.dropout.p == 0.5
    assert "GELU" in type(bottleneck.activation).__name__


@pytest.mark.parametrize("architecture", PREFIX_ARCHITECTURES)
def test_a_prefix_is_attended_to_and_moves_no_token(tmp_path, architecture):
    path = make_backbone(tmp_path, architecture)
    plain = build_model(make_experiment("t", path), HEADS).eval()
    model = build_model(experiment_for(path, "prefix", prefix_length=4), HEADS).eval()
    embedded = []
    for network in (plain, model):
        network.backbone.embeddings.register_forward_hook(lambda *call: embedded.append(call[2]))
        network(**make_batch())
    assert torch.equal(*embedded)
    before = model(**make_batch())["main"]
    with torch.no_grad():
        model.backbone.prefix.layer[1].value.add_(3.0)
    assert (model(**make_batch())["main"] - before).abs().min() > 1e-3


@pytest.mark.parametrize(
    "architecture", [a for a in ARCHITECTURES if a not in PREFIX_ARCHITECTURES]
)
def test_a_prefix_is_refused_where_it_would_do_nothing(tmp_path, architecture):
    path = make_backbone(tmp_path, architecture)
    with pytest.raises(InputError, match="'prefix' needs a backbone .* bert, .* this one is"):
        build_model(experiment_for(path, "prefix"), HEADS)


def test_wrong_target_modules_are_one_clear_error(tmp_path):
    path = make_backbone(tmp_path)
    with pytest.raises(InputError, match="target_modules = .'qurey'.: .*not found"):
        build_model(experiment_for(path, "lora", target_modules=["qurey"]), HEADS)
    model = build_model(experiment_for(path, "lora", target_modules=["key"], rank=2), HEADS)
    assert all(".key.lora_" in name for name in trainable_names(model) if "heads" not in name)


def test_parameters_are_described_in_millions(tmp_path):
    path = make_backbone(tmp_path)
    assert "of" not in describe_parameters(build_model(make_experiment("t", path), HEADS))
    description = describe_parameters(build_model(experiment_for(path, "pfeiffer"), HEADS))
    assert description == "0.000 of 0.0 M parameters"


BLOCKED = """
import sys
assert "peft" not in sys.modules
sys.modules["peft"] = None  # it cannot be imported
from auxfold.model.multitask import MultiTaskModel
MultiTaskModel.from_pretrained(sys.argv[1])
"""


@pytest.mark.parametrize("kind", ["pfeiffer", "prefix", "lora"])
def test_peft_is_imported_by_unmerged_peft_adapters_only(tmp_path, kind):
    model = make_adapted_model(tmp_path / "backbone", kind)
    model.save_pretrained(tmp_path / "saved")
    model.merge().save_pretrained(tmp_path / "merged")
    for folder in ("saved", "merged"):
        process = run_forked([sys.executable, "-c", BLOCKED, str(tmp_path / folder)])
        needs_peft = kind == "lora" and folder == "saved"
        assert (process.returncode != 0) == needs_peft, process.stderr
        assert ("needs the package peft" in process.stderr) == needs_peft


@pytest.mark.parametrize(("use_rslora", "scale"), [(False, 16 / 4), (True, 16 / 2)])
def test_the_scale_of_a_low_rank_change(tmp_path, use_rslora, scale):
    """By alpha over the rank, or over its square root; also after the fold is loaded."""
    model = make_adapted_model(tmp_path / "backbone", "lora", rank=4, use_rslora=use_rslora)
    model.save_pretrained(tmp_path / "fold")
    for each in (model, MultiTaskModel.from_pretrained(tmp_path / "fold")):
        layers = [module for module in each.modules() if hasattr(module, "lora_A")]
        assert layers and all(layer.scaling == {"default": scale} for layer in layers)
