"""The model: padding invariance, only the named heads, and use as a transformers model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import ModelCard
from transformers.utils import hub

from auxfold.model.backbone import build_model
from auxfold.model.config import MultiTaskConfig
from auxfold.model.multitask import MultiTaskModel
from conftest import ARCHITECTURES, make_backbone, make_experiment

HEADS = {"main": 1, "aux": 2}


def tiny_model(folder, architecture="bert", **model_settings) -> MultiTaskModel:
    path = make_backbone(folder, architecture)
    experiment = make_experiment("t", path, model={"backbone": path, **model_settings})
    return build_model(experiment, HEADS).eval()


@pytest.mark.parametrize("pooling", ["mean", "cls", "attention"])
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_a_row_does_not_depend_on_its_batch(tmp_path, architecture, pooling):
    model = tiny_model(tmp_path, architecture, pooling=pooling)
    row = torch.tensor([[2, 7, 8, 9, 3]])
    alone = model(input_ids=row, attention_mask=torch.ones_like(row))
    long = torch.randint(5, 20, (1, 12))
    padded = torch.cat([row, torch.zeros(1, 7, dtype=torch.long)], dim=1)
    mask = torch.tensor([[1] * 5 + [0] * 7, [1] * 12])
    together = model(input_ids=torch.cat([padded, long]), attention_mask=mask)
    for name in HEADS:
        assert alone[name].dtype == torch.float32
        torch.testing.assert_close(together[name][:1], alone[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_save_and_load_give_the_same_logits(tmp_path, architecture):
    model = tiny_model(tmp_path / "backbone", architecture)
    model.save_pretrained(tmp_path / "saved")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "saved").eval()
    row = torch.tensor([[2, 7, 8, 9, 3]])
    batch = {"input_ids": row, "attention_mask": torch.ones_like(row)}
    for name, logits in model(**batch).items():
        torch.testing.assert_close(loaded(**batch)[name], logits, atol=1e-6, rtol=0)
    assert sorted(n for n, _ in loaded.named_parameters()) == sorted(
        n for n, _ in model.named_parameters()
    )


def test_only_the_named_heads_are_computed(tmp_path):
    model = tiny_model(tmp_path)
    called = []
    for name, head in model.heads.items():
        head.register_forward_hook(lambda *_, name=name: called.append(name))
    row = torch.tensor([[2, 7, 3]])
    logits = model(input_ids=row, attention_mask=torch.ones_like(row), tasks=["main"])
    assert list(logits) == ["main"] and called == ["main"]


def test_every_parameter_takes_part_in_training(tmp_path):
    model = tiny_model(tmp_path, pooling="attention").train()
    row = torch.tensor([[2, 7, 8, 3]])
    logits = model(input_ids=row, attention_mask=torch.ones_like(row))
    sum(values.sum() for values in logits.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_push_to_hub_uploads_a_model_that_loads(tmp_path, monkeypatch):
    """A replaced hub client gets a folder that ``from_pretrained`` can read."""
    pushed = tmp_path / "pushed"
    pushed.mkdir()

    class Hub:
        def create_repo(self, repo_id, **options):
            return SimpleNamespace(repo_id=repo_id)

        def create_commit(self, repo_id, operations, **options):
            for operation in operations:
                source = operation.path_or_fileobj
                content = source if isinstance(source, bytes) else Path(source).read_bytes()
                (pushed / operation.path_in_repo).write_bytes(content)
            return repo_id

    monkeypatch.setattr(hub, "hf_api", Hub)
    monkeypatch.setattr(hub, "create_and_tag_model_card", lambda *_, **__: ModelCard("# mine"))
    model = tiny_model(tmp_path / "backbone")
    model.push_to_hub("ada/tiny")
    loaded = MultiTaskModel.from_pretrained(pushed).eval()
    row = torch.tensor([[2, 7, 8, 9, 3]])
    batch = {"input_ids": row, "attention_mask": torch.ones_like(row)}
    for name, logits in model(**batch).items():
        torch.testing.assert_close(loaded(**batch)[name], logits)


def test_a_stored_model_of_version_0_1_keeps_its_dropout_masks():
    config = MultiTaskConfig(dropout_samples=4)
    assert config.multisample_dropout == 4 and "dropout_samples" not in config.to_dict()
