"""The model behaves as transformers' own sequence classifiers do, and as a published one did."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertForSequenceClassification,
    RobertaForSequenceClassification,
    modeling_utils,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from auxfold.config import BinarySettings
from auxfold.config.model import PrefixAdapter
from auxfold.errors import InputError, UnknownName
from auxfold.model.adapters.injection import add_adapter
from auxfold.model.config import MultiTaskConfig
from auxfold.model.multitask import MultiTaskModel
from auxfold.tasks import create_task
from conftest import ARCHITECTURES, TINY_CONFIG, make_tokenizer
from model.test_numbered_heads import HEADS, expected_logits, write_numbered_checkpoint

IDS = torch.tensor([[2, 7, 8, 9, 3, 0, 0], [2, 5, 6, 11, 12, 13, 3]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}
N_LABELS = 3


class FirstTokenHead(nn.Linear):
    """A head of transformers' kind that reads the first token, as our pooling ``cls``."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden[:, 0])


def make_config(architecture: str, **options) -> object:
    values = {**TINY_CONFIG, **ARCHITECTURES[architecture], **options}
    return AutoConfig.for_model(architecture, **values)


@pytest.fixture(params=["bert", "roberta"])
def pair(request) -> tuple[MultiTaskModel, nn.Module]:
    """Our model and that of transformers, with the same weights, and eager attention."""
    torch.manual_seed(0)
    config = make_config(request.param, num_labels=N_LABELS, attn_implementation="eager")
    if request.param == "bert":
        theirs, pooling = BertForSequenceClassification(config), "pooler"
    else:
        theirs, pooling = RobertaForSequenceClassification(config), "cls"
        theirs.classifier = FirstTokenHead(config.hidden_size, N_LABELS)
    values = MultiTaskConfig(
        backbone=config.to_dict(), heads={"other": 1, "main": N_LABELS}, main_task="main",
        pooling=pooling, attn_implementation="eager",
    )  # fmt: skip
    ours = MultiTaskModel(values)
    ours.backbone.load_state_dict(theirs.base_model.state_dict())
    ours.heads["main"].load_state_dict(theirs.classifier.state_dict())
    return ours.eval(), theirs.eval()


LABELS = {
    "classes": torch.tensor([2, 0]),
    "several": torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.5]]),
}
CALLS = {
    "labels of classes": {"labels": LABELS["classes"]},
    "several labels": {"labels": LABELS["several"]},
    "attentions": {"output_attentions": True},
    "hidden states": {"output_hidden_states": True},
    "a tuple": {"return_dict": False},
    "a tuple of all": {
        "return_dict": False,
        "labels": LABELS["classes"],
        "output_attentions": True,
        "output_hidden_states": True,
    },
    "token types": {"token_type_ids": torch.zeros_like(IDS), "return_dict": True},
    "positions": {"position_ids": torch.arange(2, 9).expand(2, 7), "return_dict": True},
    "no mask": {"attention_mask": None, "return_dict": True},
}


def flatten(output: object) -> list[torch.Tensor]:
    parts = output.to_tuple() if isinstance(output, SequenceClassifierOutput) else output
    return [t for part in parts for t in (part if isinstance(part, tuple) else (part,))]


@pytest.mark.parametrize("call", CALLS)
def test_outputs_are_those_of_transformers(pair, call):
    ours, theirs = pair
    inputs = {**BATCH, **CALLS[call]}
    output, expected = ours(**inputs), theirs(**inputs)
    assert type(output) is type(expected)
    for values, expected_values in zip(flatten(output), flatten(expected), strict=True):
        torch.testing.assert_close(values, expected_values, atol=1e-6, rtol=1e-6)
    if not isinstance(output, tuple):
        assert list(output) == list(expected), "the same keys in the same order"


def test_embeddings_in_place_of_ids(pair):
    ours, theirs = pair
    embeddings = theirs.get_input_embeddings()(IDS[1:])
    torch.testing.assert_close(ours.get_input_embeddings()(IDS[1:]), embeddings)
    output = ours(inputs_embeds=embeddings, labels=LABELS["classes"][1:])
    expected = theirs(inputs_embeds=embeddings, labels=LABELS["classes"][1:])
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.loss, expected.loss)


def test_the_loss_trains_as_that_of_transformers(pair):
    for model in pair:
        model(**BATCH, labels=LABELS["classes"]).loss.backward()
    ours, theirs = pair
    expected = dict(theirs.base_model.named_parameters())
    for name, parameter in ours.backbone.named_parameters():
        if expected[name].grad is None:
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, expected[name].grad)
    torch.testing.assert_close(ours.heads["main"].weight.grad, theirs.classifier.weight.grad)


def test_gradient_checkpointing_recomputes_the_layers(pair):
    gradients: list[list[torch.Tensor]] = []
    calls: list[int] = []
    for enabled in (False, True):
        model = pair[0].train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        if enabled:
            with warnings.catch_warnings():  # newer versions of transformers rename the method
                warnings.simplefilter("ignore", FutureWarning)
                model.gradient_checkpointing_enable()
            hook = model.backbone.encoder.layer[0].attention.register_forward_hook(
                lambda *_: calls.append(1)
            )
        model.zero_grad()
        model(**BATCH, labels=LABELS["classes"]).loss.backward()
        gradients.append(
            [p.grad.clone() for p in model.backbone.parameters() if p.grad is not None]
        )
    hook.remove()
    assert len(calls) == 2, "once forward, and again for the gradient"
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(checkpointed, plain)


def tiny_model(architecture: str, heads: dict[str, int], **options) -> MultiTaskModel:
    torch.manual_seed(0)
    config = MultiTaskConfig(backbone=make_config(architecture).to_dict(), heads=heads, **options)
    return MultiTaskModel(config).eval()


def test_gradient_checkpointing_is_refused_where_it_cannot_work():
    with pytest.raises(ValueError, match="does not support"):
        tiny_model("albert", {"main": 1}).activation_checkpointing_enable()
    prefix = PrefixAdapter(kind="prefix", prefix_length=3)
    model = tiny_model("bert", {"main": 1}, adapter=prefix.model_dump(mode="json"))
    assert hasattr(model.backbone, "prefix")
    with pytest.raises(ValueError, match="does not support"):
        model.activation_checkpointing_enable()


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_a_prefix_takes_embeddings_and_no_mask(architecture):
    model = tiny_model(architecture, {"main": 1})
    add_adapter(model.backbone, PrefixAdapter(kind="prefix", prefix_length=3))
    row = IDS[1:]
    expected = model(row, torch.ones_like(row), task="main")
    torch.testing.assert_close(model(row, task="main"), expected)
    embeddings = model.get_input_embeddings()(row)
    torch.testing.assert_close(model(inputs_embeds=embeddings, task="main"), expected)


def test_padding_without_a_mask_is_pointed_out_as_in_transformers(monkeypatch):
    messages: list[str] = []
    monkeypatch.setattr(modeling_utils.logger, "warning_once", messages.append)
    model = tiny_model("bert", {"main": 1})
    model(IDS[1:], task="main")
    model(IDS, BATCH["attention_mask"], task="main")
    assert messages == []
    model(IDS, task="main")
    assert len(messages) == 1 and "attention_mask" in messages[0]


@pytest.mark.parametrize("pooling", ["mean", "cls", "attention"])
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_half_the_precision_in_one_number_format(tmp_path, architecture, pooling):
    model = tiny_model(architecture, {"main": 1, "aux": 4}, pooling=pooling)
    model.set_scale("aux", [0.5] * 4, [2.0] * 4)
    expected = model(**BATCH)
    model.save_pretrained(tmp_path)
    halves = {
        dtype: MultiTaskModel.from_pretrained(tmp_path, dtype=dtype)
        for dtype in (torch.float16, torch.bfloat16)
    }
    halves |= {"half": MultiTaskModel.from_pretrained(tmp_path).half(), "to": model.bfloat16()}
    for name, half in halves.items():
        assert len({p.dtype for p in half.parameters()}) == 1 and half.dtype != torch.float32
        logits = half.eval()(**BATCH)
        for task, values in logits.items():
            assert values.dtype == torch.float32
            torch.testing.assert_close(values, expected[task], atol=0.1, rtol=0.05, msg=str(name))
    assert half(**BATCH, labels=torch.tensor([1.0, 0.0]), task_name="main").loss.isfinite()


def test_the_loss_is_that_of_the_stored_task(tmp_path):
    model = tiny_model("bert", {"main": 1, "aux": 2}, main_task="main")
    settings = BinarySettings(name="aux", kind="binary", columns=["a", "b"], pos_weight=[2.0, 3.0])
    model.set_task(create_task(settings))
    model.save_pretrained(tmp_path)
    model = MultiTaskModel.from_pretrained(tmp_path)
    labels = torch.tensor([[1.0, 0.0], [float("nan"), 1.0]])
    output = model(**BATCH, task_name="aux", labels=labels)
    p = output.logits.sigmoid()
    terms = [2 * p[0, 0].log(), (1 - p[0, 1]).log(), 3 * p[1, 1].log()]
    torch.testing.assert_close(output.loss, -sum(terms) / 3)
    with pytest.raises(InputError, match="task 'aux' expects"):
        model(**BATCH, task_name="aux", labels=labels[:, :1])


def test_a_head_of_classes_of_a_number_has_its_loss_in_evaluation_too(tmp_path):
    model = tiny_model("bert", {"main": 5})
    settings = BinarySettings(name="main", kind="binary", columns=["a"], loss="binned", bins=5)
    model.set_task(create_task(settings))
    model.set_bins("main", 5)
    output = model(**BATCH, labels=torch.tensor([0.0, 0.75]))
    assert output.logits.shape == (2, 1)
    raw = model.scaled_outputs("main", model.features(**BATCH)).log_softmax(dim=1)
    torch.testing.assert_close(output.loss, -(raw[0, 0] + raw[1, 3]) / 2)


def test_every_head_has_a_loss_of_its_own_kind():
    """The first batch does not decide for the other heads."""
    model = tiny_model("bert", {"number": 1, "classes": 3}, main_task="number")
    logits = model(**BATCH)
    numbers = torch.tensor([0.5, -1.0])
    expected = nn.functional.mse_loss(logits["number"][:, 0], numbers)
    torch.testing.assert_close(model(**BATCH, labels=numbers).loss, expected)
    output = model(**BATCH, labels=LABELS["classes"], task_name="classes")
    expected = nn.functional.cross_entropy(logits["classes"], LABELS["classes"])
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize(
    "names", [{"tasks": ["main"]}, {"task": "main", "task_name": "main"}, {"task_name": "mian"}]
)
def test_an_output_is_of_one_known_task(names):
    model = tiny_model("bert", {"main": 1, "aux": 2})
    with pytest.raises(UnknownName, match="one task; give only task_name|no task 'mian'"):
        model(**BATCH, **names, return_dict=True)


def test_code_for_the_published_query_classifier_runs_unchanged(tmp_path: Path):
    """As its model card has it, with padding and without a mask."""
    weights = write_numbered_checkpoint(tmp_path, "pytorch_model.bin")
    make_tokenizer().save_pretrained(tmp_path)
    model = MultiTaskModel.from_pretrained(
        str(tmp_path),
        task_labels_map={"quora_keyword_pairs": 2, "spaadia_squad_pairs": 2},
    )
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    texts = ["garden train", "is the garden bread good", "the rain was good soup"]
    sequence = tokenizer(texts, padding=True, return_tensors="pt")["input_ids"]
    for number, task_name in enumerate(HEADS, start=1):
        logits = model(sequence, task_name=task_name)[0]
        assert logits.shape == (3, 2)
        alone = model(sequence[1:2], torch.ones_like(sequence[1:2]), task=task_name)
        torch.testing.assert_close(logits[1:2], alone)
        predictions = torch.argmax(torch.softmax(logits, dim=1).detach().cpu(), axis=1)
        assert predictions.tolist() == logits.argmax(dim=1).tolist()
        output = model(IDS, task_name=task_name, attention_mask=BATCH["attention_mask"])
        expected = expected_logits(weights, number)
        torch.testing.assert_close(output.logits, expected, atol=1e-6, rtol=0)
    labels = torch.tensor([1, 0, 1])
    output = model(input_ids=sequence, labels=labels, task_name="spaadia_squad_pairs")
    assert isinstance(output, SequenceClassifierOutput)
    torch.testing.assert_close(output[0], nn.functional.cross_entropy(output[1], labels))
