"""Language models as backbones: found by a probe, and pooled at their last token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from auxfold.errors import InputError
from auxfold.model.backbone import build_model
from auxfold.model.causality import choose_direction, is_causal
from auxfold.model.multitask import MultiTaskModel
from conftest import ARCHITECTURES, TINY_CONFIG, make_backbone, make_experiment, make_tokenizer
from language_models import NESTED, make_config

DECODERS = ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")


def make_decoder(folder: Path, architecture: str) -> str:
    """A tiny random language model with a head for two labels, saved as people save them."""
    torch.manual_seed(0)
    config = make_config(architecture, num_labels=2)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)


def build(path: str, pooling: str = "auto", width: int = 2) -> MultiTaskModel:
    experiment = make_experiment("t", path, model={"backbone": path, "pooling": pooling})
    return build_model(experiment, {"main": width}).eval()


def batches() -> list[dict[str, torch.Tensor]]:
    """A row alone, and next to a longer one with padding on the right and on the left."""
    row, longer = [2, 7, 8, 9, 3], [2, 11, 12, 13, 14, 15, 16, 3]
    right, left = [*row, 0, 0, 0], [0, 0, 0, *row]
    return [
        {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        for ids, mask in (
            ([row], [[1] * 5]),
            ([right, longer], [[1] * 5 + [0] * 3, [1] * 8]),
            ([left, longer], [[0] * 3 + [1] * 5, [1] * 8]),
        )
    ]


@pytest.mark.parametrize("architecture", [*DECODERS, NESTED])
def test_logits_are_those_of_the_class_of_transformers(tmp_path, architecture):
    path = make_decoder(tmp_path, architecture)
    published = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
    model = build(path)
    assert model.config.pooling == "last" and model.config.backbone["use_cache"] is False
    with torch.no_grad():
        model.heads["main"].weight.copy_(published.score.weight)
        model.heads["main"].bias.zero_()
        for batch in batches():
            expected = published(**batch).logits
            torch.testing.assert_close(model(**batch)["main"], expected, atol=1e-5, rtol=0)
    first = [model(**batch)["main"][0] for batch in batches()[:2]]
    torch.testing.assert_close(first[0], first[1], atol=1e-5, rtol=0)
    assert first[0].abs().max() > 1e-3


@pytest.mark.parametrize("architecture", ["llama", "gpt2", NESTED])
def test_a_fold_is_stored_and_loaded(tmp_path, architecture):
    model = build(make_decoder(tmp_path / "backbone", architecture))
    model.save_pretrained(tmp_path / "fold")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "fold")
    assert loaded.config.pooling == "last"
    for batch in batches():
        torch.testing.assert_close(loaded(**batch)["main"], model(**batch)["main"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_encoders_are_not_causal(tmp_path, architecture):
    path = make_backbone(tmp_path, architecture)
    backbone = AutoModel.from_pretrained(path).train()
    assert not is_causal(backbone) and backbone.training
    assert build(path).config.pooling == "mean"
    assert build(path, "last").config.pooling == "last"


@pytest.mark.parametrize("architecture", [*DECODERS, NESTED])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_all_tokens_of_a_language_model_see_each_other(tmp_path, architecture, attention):
    """Also after a fold is loaded, alone and padded on either side."""
    path = make_decoder(tmp_path / "backbone", architecture)
    settings = {"backbone": path, "causal": False, "attention": attention}
    if attention == "sdpa" and architecture == "gemma2":
        settings["attention"] = "eager"  # its soft cap needs the scores
    model = build_model(make_experiment("t", path, model=settings), {"main": 2}).eval()
    assert model.config.pooling == "mean" and not is_causal(model.backbone)
    model.save_pretrained(tmp_path / "fold")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "fold")
    assert not is_causal(loaded.backbone)
    alone, *padded = [model(**batch)["main"][0] for batch in batches()]
    # GPT-2 counts positions from the left, padding included, as its published class does.
    for logits in padded[:1] if architecture == "gpt2" else padded:
        torch.testing.assert_close(logits, alone, atol=1e-5, rtol=1e-4)
    for batch in batches():
        torch.testing.assert_close(loaded(**batch)["main"], model(**batch)["main"])


def test_a_direction_that_an_architecture_does_not_have_is_refused(tmp_path):
    path = make_backbone(tmp_path / "bert")
    with pytest.raises(InputError, match="model.causal = true: the tokens of this 'bert' see"):
        build_model(
            make_experiment("t", path, model={"backbone": path, "causal": True}), {"main": 1}
        )
    mamba = AutoConfig.for_model(
        "mamba", hidden_size=16, num_hidden_layers=1, state_size=4, vocab_size=40, pad_token_id=0
    )
    with pytest.raises(InputError, match="model.causal = false: 'mamba' reads in one direction"):
        choose_direction(AutoModel.from_config(mamba), causal=False)


def test_bert_as_a_decoder_is_causal():
    """The type of a model does not say it."""
    settings = {**TINY_CONFIG, "is_decoder": True}
    assert is_causal(AutoModel.from_config(AutoConfig.for_model("bert", **settings)))


def test_the_first_token_of_a_language_model_is_refused(tmp_path):
    path = make_decoder(tmp_path, "llama")
    with pytest.raises(InputError, match="the first token of this backbone does not see the"):
        build(path, "cls")
    assert build(path, "mean").config.pooling == "mean"
    assert build(path, "attention").config.pooling == "attention"


@pytest.mark.parametrize(
    ("architecture", "layers"),
    [
        (NESTED, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj"),
        ("llama", "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj"),
        ("qwen3", "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj"),
        ("gpt2", "c_attn c_fc c_proj"),
    ],
)
def test_lora_changes_all_linear_layers_of_a_language_model(tmp_path, architecture, layers):
    path = make_decoder(tmp_path / "backbone", architecture)
    adapter = {"kind": "lora", "rank": 2}
    experiment = make_experiment("t", path, model={"backbone": path, "adapter": adapter})
    model = build_model(experiment, {"main": 2}).eval()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    changed = {name.split(".lora_")[0].rpartition(".")[2] for name in trained if "lora_" in name}
    assert " ".join(sorted(changed)) == layers
    assert {name for name in trained if "lora_" not in name} == {
        "heads.main.weight",
        "heads.main.bias",
    }
    plain = build(path)
    plain.heads.load_state_dict(model.heads.state_dict())
    with torch.no_grad():
        for batch in batches():
            torch.testing.assert_close(model(**batch)["main"], plain(**batch)["main"])
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "fold")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "fold")
    merged = MultiTaskModel.from_pretrained(tmp_path / "fold").merge()
    for batch in batches():
        logits = model(**batch)["main"]
        torch.testing.assert_close(loaded(**batch)["main"], logits, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(merged(**batch)["main"], logits, atol=1e-5, rtol=1e-4)
