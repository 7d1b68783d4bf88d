"""The output of one head as transformers' classifiers give it, and which head that is."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from auxfold.errors import UnknownName, nearest
from auxfold.model.config import MultiTaskConfig
from auxfold.model.label_loss import label_loss


class Inputs(NamedTuple):
    """What the backbone reads, in the order of transformers' models."""

    input_ids: torch.Tensor | None
    attention_mask: torch.Tensor | None
    token_type_ids: torch.Tensor | None
    position_ids: torch.Tensor | None
    inputs_embeds: torch.Tensor | None


def classify(
    model: Any,
    task: str,
    inputs: Inputs,
    labels: torch.Tensor | None,
    options: dict[str, bool | None],
) -> SequenceClassifierOutput:
    """The logits of one head, its loss, and what the backbone is asked to output.

    Args:
        model: a ``MultiTaskModel``.
        task: the name of the head.
        inputs: of the backbone.
        labels: as ``label_loss`` takes them; None: no loss.
        options: ``output_attentions`` and ``output_hidden_states``; None: as configured.

    Raises:
        InputError: the labels do not fit the task.
    """
    recorded = {n: getattr(model.config, n) if v is None else v for n, v in options.items()}
    encoded = model.encode(inputs, **{name: True for name, v in recorded.items() if v})
    features = model.pool_tokens(encoded, inputs.attention_mask)
    with torch.autocast(features.device.type, enabled=False):
        outputs = model.scaled_outputs(task, features)
        loss = None if labels is None else label_loss(model.config, task, outputs, labels)
    return SequenceClassifierOutput(
        loss=loss,
        logits=model.to_logits(task, outputs),
        hidden_states=getattr(encoded, "hidden_states", None),
        attentions=getattr(encoded, "attentions", None),
    )


def head_names(config: MultiTaskConfig, task: str | None, tasks: list[str] | None) -> list[str]:
    """The heads to compute: one, some, or where none is named all of them.

    Raises:
        UnknownName: there is no such head, or both arguments are given.
    """
    if task is not None and tasks is not None:
        raise UnknownName("give task or tasks, not both")
    names = [task] if task is not None else list(config.heads) if tasks is None else tasks
    for name in names:
        if name not in config.heads:
            known = ", ".join(config.heads)
            raise UnknownName(f"no task {name!r}{nearest(name, config.heads)}; tasks: {known}")
    return names


def head_name(
    config: MultiTaskConfig, task: str | None, tasks: list[str] | None, task_name: str | None
) -> str:
    """The one head of a ``SequenceClassifierOutput``; by default that of the main task.

    Raises:
        UnknownName: there is no such head, or several arguments are given.
    """
    names = [name for name in (task, task_name) if name is not None]
    if tasks is not None or len(names) > 1:
        raise UnknownName(
            "labels, output_attentions, output_hidden_states and return_dict are for one "
            "task; give only task_name"
        )
    main = config.main_task or next(iter(config.heads))
    return head_names(config, names[0] if names else main, None)[0]
