"""One backbone and one head per task, as a model of ``transformers``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from auxfold.errors import UnknownName, nearest
from auxfold.model.adapters.injection import (
    add_adapter,
    merge_adapter,
    parse_adapter_settings,
    trainable_state_dict,
)
from auxfold.model.binned import logit_of_expectation
from auxfold.model.config import MultiTaskConfig
from auxfold.model.cumulative import CumulativeHead
from auxfold.model.label_loss import label_loss
from auxfold.model.loading import build_backbone, load_config, load_with_reference
from auxfold.model.numbered_heads import check_heads, load_numbered_heads
from auxfold.model.pooling import AttentionPool, check_pooler, mean_pool
from auxfold.tasks import Task
from auxfold.tasks.kinds import task_to_record

# No "Loading weights": a run shows only one progress bar, that of auxfold.
transformers_logging.disable_progress_bar()


class _Inputs(NamedTuple):
    """What the backbone reads, in the order of transformers' models."""

    input_ids: torch.Tensor | None
    attention_mask: torch.Tensor | None
    token_type_ids: torch.Tensor | None
    position_ids: torch.Tensor | None
    inputs_embeds: torch.Tensor | None


class MultiTaskModel(PreTrainedModel):
    """A backbone with pooling and one linear head per task.

    ``model(input_ids, attention_mask)`` returns a dictionary from task name to fp32 logits
    ``(rows, width)``. With ``tasks=[…]`` it holds only those tasks, and with ``task="…"`` the model
    returns the logits of this one task. Heads that are not named are not computed. With
    ``task_name="…"`` or ``labels`` the output is that of transformers' classifiers.

    Attributes:
        feature_hook: called in training as ``feature_hook(task, features)`` with the features
            ``(rows, hidden)``. The head gets what it returns, so that a hook can read and scale the
            gradient of each task. None: the head gets the features.
    """

    config: MultiTaskConfig
    config_class = MultiTaskConfig
    base_model_prefix = "backbone"
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: MultiTaskConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self.backbone = backbone = build_backbone(config) if backbone is None else backbone
        check_pooler(backbone, config.pooling)
        hidden = backbone.config.hidden_size
        self.dropout = nn.Dropout(config.head_dropout)
        self.pool = AttentionPool(hidden) if config.pooling == "attention" else None
        self.heads = nn.ModuleDict(
            {
                name: CumulativeHead(hidden, width)
                if name in config.ordinal
                else nn.Linear(hidden, width)
                for name, width in config.heads.items()
            }
        )
        self.feature_hook: Callable[[str, torch.Tensor], torch.Tensor] | None = None
        self.post_init()
        if config.adapter is not None:  # after post_init, which would initialize it again
            add_adapter(self.backbone, parse_adapter_settings(config.adapter))
        # transformers would leave out the past keys and values that a prefix consists of.
        self.supports_gradient_checkpointing = (
            backbone.supports_gradient_checkpointing and not hasattr(backbone, "prefix")
        )

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        *,
        tasks: list[str] | None = None,
        task: str | None = None,
        task_name: str | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> dict[str, torch.Tensor] | torch.Tensor | SequenceClassifierOutput | tuple[Any, ...]:
        """Logits by task name, of one task, or as transformers' classifiers give them.

        Args:
            input_ids: ``(rows, tokens)``.
            attention_mask: ``(rows, tokens)``, 0 where padded; None: nothing is padded.
            token_type_ids: ``(rows, tokens)``, where the backbone has token types.
            position_ids: ``(rows, tokens)``; None: as the backbone counts them.
            inputs_embeds: ``(rows, tokens, hidden)`` embeddings instead of ``input_ids``.
            labels: ``(rows,)`` or ``(rows, label columns)``, for the loss of one task.
            tasks: the heads to compute; None: all.
            task: the only head to compute.
            task_name: the only head to compute, for a ``SequenceClassifierOutput``.
            output_attentions: whether the output has the backbone's attention weights.
            output_hidden_states: whether the output has the backbone's hidden states.
            return_dict: false for a tuple instead of a ``SequenceClassifierOutput``.

        Returns:
            Task name to fp32 logits ``(rows, width)``, or with ``task`` only its logits. With
            ``task_name``, ``labels``, ``output_…`` or ``return_dict`` the output of one task (by
            default the main one), as transformers' heads give it.

        Raises:
            UnknownName: there is no such task, or several of ``task``, ``tasks`` and ``task_name``
                are given.
            InputError: the labels do not fit the task.
        """
        inputs = _Inputs(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        options = {
            "output_attentions": output_attentions,
            "output_hidden_states": output_hidden_states,
        }
        if any(v is not None for v in (task_name, labels, return_dict, *options.values())):
            name = self._head_name(task, tasks, task_name)
            output = self._classify(name, inputs, labels, options)
            is_tuple = not (self.config.return_dict if return_dict is None else return_dict)
            return output.to_tuple() if is_tuple else output
        names = self._head_names(task, tasks)
        features = self.features(*inputs)
        with torch.autocast(features.device.type, enabled=False):
            logits = {name: self.head_logits(name, features) for name in names}
        return logits if task is None else logits[task]

    def _classify(
        self,
        task: str,
        inputs: _Inputs,
        labels: torch.Tensor | None,
        options: dict[str, bool | None],
    ) -> SequenceClassifierOutput:
        """The logits of one head, its loss, and what the backbone is asked to output."""
        recorded = {n: getattr(self.config, n) if v is None else v for n, v in options.items()}
        encoded = self._encode(inputs, **{name: True for name, v in recorded.items() if v})
        features = self._pool_tokens(encoded, inputs.attention_mask)
        with torch.autocast(features.device.type, enabled=False):
            outputs = self._scaled_outputs(task, features)
            loss = None if labels is None else label_loss(self.config, task, outputs, labels)
        return SequenceClassifierOutput(
            loss=loss,
            logits=self._to_logits(task, outputs),
            hidden_states=getattr(encoded, "hidden_states", None),
            attentions=getattr(encoded, "attentions", None),
        )

    def features(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``."""
        inputs = _Inputs(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        return self._pool_tokens(self._encode(inputs), attention_mask)

    def _encode(self, inputs: _Inputs, **options: bool) -> Any:
        """The output of the backbone, which gets only the inputs that there are."""
        if inputs.input_ids is not None and inputs.attention_mask is None:
            self.backbone.warn_if_padding_and_no_attention_mask(inputs.input_ids, None)
        present = {name: v for name, v in inputs._asdict().items() if v is not None}
        return self.backbone(**present, **options)

    def _pool_tokens(self, encoded: Any, mask: torch.Tensor | None) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``."""
        if self.config.pooling == "pooler":
            return encoded.pooler_output.float()
        hidden = encoded.last_hidden_state
        if self.config.pooling == "cls":
            return hidden[:, 0].float()
        mask = hidden.new_ones(hidden.shape[:2]) if mask is None else mask
        if self.pool is not None:
            return self.pool(hidden, mask).float()
        return mean_pool(hidden, mask)

    def head_logits(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """The logits ``(rows, width)`` of one head, from features ``(rows, hidden)``."""
        return self._to_logits(task, self._scaled_outputs(task, features))

    def _to_logits(self, task: str, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs of a head; of one that learns classes of a number one logit per column."""
        bins = self.config.bins.get(task)
        return outputs if bins is None or self.training else logit_of_expectation(outputs, bins)

    def _scaled_outputs(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """The outputs ``(rows, head_width)`` of one head in the units of its targets, fp32."""
        outputs = self._multisample_outputs(task, features)
        scale = self.config.scales.get(task)
        if scale is None:
            return outputs
        # From the configuration and not from buffers: exact in every number format of the weights.
        return outputs * outputs.new_tensor(scale["std"]) + outputs.new_tensor(scale["mean"])

    def _multisample_outputs(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """A linear layer behind dropout, in training averaged over several dropout masks."""
        head, hook = self.heads[task], self.feature_hook
        # Nothing to do unless the model is in half precision.
        features = features.to(next(head.parameters()).dtype)
        n_masks = self.config.multisample_dropout if self.training else 1
        outputs = (
            head(self.dropout(features if hook is None else hook(task, features)))
            for _ in range(n_masks)
        )
        return (sum(outputs) / n_masks).float()

    def _head_names(self, task: str | None, tasks: list[str] | None) -> list[str]:
        if task is not None and tasks is not None:
            raise UnknownName("give task or tasks, not both")
        names = [task] if task is not None else list(self.heads) if tasks is None else tasks
        for name in names:
            if name not in self.heads:
                known = ", ".join(self.heads)
                raise UnknownName(f"no task {name!r}{nearest(name, self.heads)}; tasks: {known}")
        return names

    def _head_name(self, task: str | None, tasks: list[str] | None, task_name: str | None) -> str:
        """The one head of a ``SequenceClassifierOutput``; by default that of the main task."""
        names = [name for name in (task, task_name) if name is not None]
        if tasks is not None or len(names) > 1:
            raise UnknownName(
                "labels, output_attentions, output_hidden_states and return_dict are for one "
                "task; give only task_name"
            )
        main = self.config.main_task or next(iter(self.heads))
        return self._head_names(names[0] if names else main, None)[0]

    def set_task(self, task: Task) -> None:
        """Store a fitted task, from which the model computes the loss of ``labels``."""
        self.config.tasks = {**self.config.tasks, task.name: task_to_record(task)}

    def set_scale(self, task: str, mean: list[float], std: list[float]) -> None:
        """Multiply a head's outputs by ``std`` and add ``mean``, one number per output."""
        self.config.scales = {**self.config.scales, task: {"mean": mean, "std": std}}

    def set_bins(self, task: str, bins: int) -> None:
        """Set how many classes per column a head's outputs are."""
        self.config.bins = {**self.config.bins, task: bins}

    def set_head_bias(self, task: str, bias: torch.Tensor) -> None:
        """Set the bias ``(width,)`` that a head starts with; of ordered classes the cut points."""
        head = self.heads[task]
        if isinstance(head, CumulativeHead):
            head.set_cut_points(bias)
            return
        assert isinstance(head, nn.Linear)
        with torch.no_grad():
            head.bias.copy_(bias)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, CumulativeHead):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.cut_points)

    def merge(self) -> MultiTaskModel:
        """Make this a plain model, in place: it then needs no other backbone, and no peft.

        LoRA, DoRA and IA3 become part of the weights. Bottlenecks and prefixes remain as modules.
        """
        if merge_adapter(self.backbone):
            self.config.adapter = None
        self.config.reference = None
        return self.requires_grad_(True)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any
    ) -> None:
        """Save as in transformers; without the frozen backbone where a reference names it."""
        if self.config.reference is not None:
            kwargs.setdefault("state_dict", trainable_state_dict(self))
        super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *model_args: Any,
        task_labels_map: dict[str, int] | None = None,
        **kwargs: Any,
    ) -> MultiTaskModel:
        """Load as in transformers; with ``task_labels_map`` check or name the heads.

        The frozen backbone of an adapter is loaded by its reference.

        Args:
            pretrained_model_name_or_path: a fold folder or a hub name; with ``task_labels_map``
                also a checkpoint with numbered heads (see ``model/numbered_heads.py``).
            model_args: as in transformers.
            task_labels_map: head name to number of labels. Numbered heads get the names in this
                order. Heads that have names must have these names and widths.
            kwargs: as in transformers.

        Raises:
            InputError: the heads are others than those of ``task_labels_map``, or an adapter's
                backbone is missing or another one.
        """
        path = pretrained_model_name_or_path
        if task_labels_map is not None:
            checkpoint = load_numbered_heads(str(path), task_labels_map, kwargs)
            if checkpoint is not None:
                return super().from_pretrained(None, **checkpoint._asdict(), **kwargs)
        config = load_config(path, kwargs)
        if path is None or config is None or config.reference is None:
            loaded = super().from_pretrained(path, *model_args, **kwargs)
        else:
            loaded = load_with_reference(cls, path, config, kwargs)
        if task_labels_map is not None:
            model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
            check_heads(str(path), model.config.output_widths(), task_labels_map)
        return loaded


AutoConfig.register("auxfold", MultiTaskConfig, exist_ok=True)
AutoModel.register(MultiTaskConfig, MultiTaskModel, exist_ok=True)
