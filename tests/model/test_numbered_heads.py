"""One head by its name, and checkpoints whose heads are numbered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModel, BertConfig, BertModel

from auxfold.errors import InputError, UnknownName
from auxfold.model.backbone import build_model
from auxfold.model.multitask import MultiTaskModel
from conftest import TINY_CONFIG, make_backbone, make_experiment

HEADS = {"quora_keyword_pairs": 2, "spaadia_squad_pairs": 2}
IDS = torch.tensor([[2, 7, 8, 9, 3, 0, 0], [2, 5, 6, 11, 12, 13, 3]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}


def small_model(folder: Path, pooling: str = "mean", architecture: str = "bert") -> MultiTaskModel:
    path = make_backbone(folder, architecture)
    experiment = make_experiment("t", path, model={"backbone": path, "pooling": pooling})
    return build_model(experiment, {"main": 1, "aux": 2}).eval()


def write_numbered_checkpoint(
    folder: Path, file: str, widths: tuple[int, ...] = (2, 2), **options
) -> dict:
    """Write a checkpoint as that project saves it, and return its weights."""
    torch.manual_seed(1)
    config = BertConfig(**TINY_CONFIG, **options)
    weights = {f"bert.{name}": values for name, values in BertModel(config).state_dict().items()}
    for number, width in enumerate(widths, start=1):
        head = nn.Linear(config.hidden_size, width)
        weights[f"classifier{number}.weight"] = head.weight.detach()
        weights[f"classifier{number}.bias"] = head.bias.detach()
    folder.mkdir(parents=True, exist_ok=True)
    values = config.to_dict() | {"architectures": ["BertForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(values))
    save_weights(folder, file, weights)
    return weights


def save_weights(folder: Path, file: str, weights: dict) -> None:
    if file == "model.safetensors":
        save_file(weights, folder / file)
    else:  # older versions stored the positions, too
        positions = {"bert.embeddings.position_ids": torch.arange(64)[None]}
        torch.save(weights | positions, folder / file)


def expected_logits(weights: dict, number: int) -> torch.Tensor:
    """The formula by hand: a linear head on BERT's pooled output."""
    bert = BertModel(BertConfig(**TINY_CONFIG)).eval()
    bert.load_state_dict({n[5:]: v for n, v in weights.items() if n.startswith("bert.")})
    with torch.no_grad():
        first = bert(**BATCH).last_hidden_state[:, 0]
        dense = weights["bert.pooler.dense.weight"], weights["bert.pooler.dense.bias"]
        pooled = torch.tanh(first @ dense[0].T + dense[1])
        head = weights[f"classifier{number}.weight"], weights[f"classifier{number}.bias"]
        return pooled @ head[0].T + head[1]


def test_one_task_gives_its_logits_alone(tmp_path):
    model = small_model(tmp_path)
    all_logits = model(**BATCH)
    logits = model(IDS, BATCH["attention_mask"], task="aux")
    torch.testing.assert_close(logits, all_logits["aux"], atol=0, rtol=0)
    assert logits.shape == (2, 2)
    called = []
    model.heads["main"].register_forward_hook(lambda *_: called.append("main"))
    model(**BATCH, task="aux")
    assert not called, "no other head is computed"


@pytest.mark.parametrize("asked", [{"task": "auxx"}, {"tasks": ["main", "auxx"]}])
def test_an_unknown_task_is_an_error_that_lists_the_known(tmp_path, asked):
    model = small_model(tmp_path)
    with pytest.raises(UnknownName, match=r"no task 'auxx' .*'aux'.*; tasks: main, aux"):
        model(**BATCH, **asked)
    with pytest.raises(ValueError, match="task or tasks"):
        model(**BATCH, task="main", tasks=["main"])


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_numbered_heads_get_their_names_in_the_order_of_the_map(tmp_path, file):
    weights = write_numbered_checkpoint(tmp_path, file)
    model = MultiTaskModel.from_pretrained(str(tmp_path), task_labels_map=HEADS)
    assert not model.training and model.config.heads == HEADS
    for number, name in enumerate(HEADS, start=1):
        logits = model(IDS, BATCH["attention_mask"], task=name)
        torch.testing.assert_close(logits, expected_logits(weights, number), atol=1e-6, rtol=0)
    reversed_model = MultiTaskModel.from_pretrained(
        tmp_path, task_labels_map=dict(reversed(HEADS.items()))
    )
    logits = reversed_model(**BATCH, task="spaadia_squad_pairs")
    torch.testing.assert_close(logits, expected_logits(weights, 1), atol=1e-6, rtol=0)


def test_once_saved_it_is_a_model_of_ours(tmp_path):
    write_numbered_checkpoint(tmp_path / "theirs", "pytorch_model.bin", hidden_dropout_prob=0.3)
    model = MultiTaskModel.from_pretrained(tmp_path / "theirs", task_labels_map=HEADS)
    assert model.dropout.p == 0.3
    model.save_pretrained(tmp_path / "ours")
    reloaded = MultiTaskModel.from_pretrained(tmp_path / "ours", task_labels_map=HEADS)
    for name, logits in model(**BATCH).items():
        torch.testing.assert_close(reloaded(**BATCH, task=name), logits, atol=0, rtol=0)


def test_heads_are_as_wide_and_as_many_as_the_checkpoint_has(tmp_path):
    weights = write_numbered_checkpoint(tmp_path, "model.safetensors", widths=(3, 1) + (2,) * 8)
    names = {f"t{n}": w for n, w in enumerate((3, 1) + (2,) * 8)}
    model = MultiTaskModel.from_pretrained(tmp_path, task_labels_map=names)
    expected = expected_logits(weights, 10)
    torch.testing.assert_close(model(**BATCH, task="t9"), expected, atol=1e-6, rtol=0)
    for wrong in (HEADS, {"a": 3, "b": 2} | {f"t{n}": 2 for n in range(8)}, {}):
        with pytest.raises(InputError, match=r"has the heads classifier1 \(3\), classifier2 \(1\)"):
            MultiTaskModel.from_pretrained(tmp_path, task_labels_map=wrong)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda w: w.pop("bert.pooler.dense.weight"), "lacks backbone.pooler.dense.weight"),
        (lambda w: w.pop("classifier2.bias"), "lacks heads.spaadia_squad_pairs.bias"),
        (lambda w: w.update({"cls.bias": torch.ones(1)}), "has a surplus cls.bias"),
    ],
)
def test_a_checkpoint_of_another_layout_is_refused(tmp_path, change, expected):
    weights = write_numbered_checkpoint(tmp_path, "model.safetensors")
    change(weights)
    save_weights(tmp_path, "model.safetensors", weights)
    with pytest.raises(InputError, match=expected):
        MultiTaskModel.from_pretrained(tmp_path, task_labels_map=HEADS)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="neither model.safetensors nor pytorch_model.bin"):
        MultiTaskModel.from_pretrained(tmp_path, task_labels_map=HEADS)


@pytest.mark.parametrize("architecture", ["bert", "electra"])
def test_a_checkpoint_without_heads_gets_new_ones(tmp_path, architecture):
    path = make_backbone(tmp_path / "backbone", architecture)
    expected = r"newly initialized, and to be trained, are quora_keyword_pairs \(2\), spaadia"
    with pytest.warns(UserWarning, match=expected) as record:
        model = MultiTaskModel.from_pretrained(path, task_labels_map=HEADS)
    assert record[0].filename == __file__
    assert not model.training and model.config.output_widths() == HEADS
    backbone, outputs = AutoModel.from_pretrained(path), model.backbone(**BATCH)
    torch.testing.assert_close(outputs[0], backbone(**BATCH)[0], atol=0, rtol=0)
    pooled = outputs.pooler_output if architecture == "bert" else outputs[0][:, 0]
    loss, logits = model(**BATCH, task_name="spaadia_squad_pairs", labels=torch.tensor([0, 1]))[:2]
    torch.testing.assert_close(logits, model.heads["spaadia_squad_pairs"](pooled))
    loss.backward()
    model.save_pretrained(tmp_path / "saved")
    reloaded = MultiTaskModel.from_pretrained(tmp_path / "saved", task_labels_map=HEADS)
    torch.testing.assert_close(reloaded(**BATCH, task="spaadia_squad_pairs"), logits)


@pytest.mark.filterwarnings("ignore:.*newly initialized")
def test_options_of_a_checkpoint_without_heads(tmp_path):
    path = make_backbone(tmp_path)
    model = MultiTaskModel.from_pretrained(path, task_labels_map=HEADS, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    with pytest.raises(InputError, match="names no head"):
        MultiTaskModel.from_pretrained(path, task_labels_map={})
    with pytest.raises(InputError, match="device_map is not for a model whose heads are new"):
        MultiTaskModel.from_pretrained(path, task_labels_map=HEADS, device_map="cpu")


def test_the_map_must_be_the_heads_of_a_model_of_ours(tmp_path):
    small_model(tmp_path / "backbone").save_pretrained(tmp_path / "saved")
    for same in ({"main": 1, "aux": 2}, {"aux": 2, "main": 1}, None):
        assert MultiTaskModel.from_pretrained(tmp_path / "saved", task_labels_map=same)
    for other in ({"main": 2, "aux": 2}, {"main": 1}, {"main": 1, "auxx": 2}):
        with pytest.raises(InputError, match=r"has the heads aux \(2\), main \(1\); asked"):
            MultiTaskModel.from_pretrained(tmp_path / "saved", task_labels_map=other)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "albert", "mpnet"])
def test_the_pooler_of_the_backbone_is_kept_trained_and_blind_to_padding(tmp_path, architecture):
    model = small_model(tmp_path, "pooler", architecture)
    outputs = model.backbone(**BATCH)
    torch.testing.assert_close(model.features(**BATCH), outputs.pooler_output)
    alone = model(input_ids=IDS[:1, :5], attention_mask=torch.ones(1, 5, dtype=torch.long))
    for name, logits in model(**BATCH).items():
        torch.testing.assert_close(logits[:1], alone[name], atol=1e-5, rtol=0)
    model.train()
    sum(values.sum() for values in model(**BATCH).values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_pooler_comes_with_the_backbones_weights(tmp_path):
    path = make_backbone(tmp_path)
    published = BertModel.from_pretrained(path).pooler.dense.weight
    model = small_model(tmp_path, "pooler")
    torch.testing.assert_close(model.backbone.pooler.dense.weight, published)
    assert small_model(tmp_path, "cls").backbone.pooler is None


def test_a_backbone_without_a_pooler_is_refused(tmp_path):
    with pytest.raises(InputError, match="model.pooling = 'pooler': electra has no pooler"):
        small_model(tmp_path, "pooler", "electra")
