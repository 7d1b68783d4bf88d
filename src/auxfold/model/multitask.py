"""One backbone and one head per task, as a model of ``transformers``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from auxfold.data.packing import PackedTokens
from auxfold.model.adapters.injection import (
    add_adapter,
    merge_adapter,
    parse_adapter_settings,
    trainable_state_dict,
)
from auxfold.model.amp import keep_residuals_fp32
from auxfold.model.binned import logit_of_expectation
from auxfold.model.causality import make_bidirectional
from auxfold.model.classifier_output import Inputs, classify, head_name, head_names
from auxfold.model.config import MultiTaskConfig
from auxfold.model.cumulative import CumulativeHead
from auxfold.model.fast.build import build_fast_encoder, is_plain
from auxfold.model.fast.encoder import FastEncoder
from auxfold.model.loading import build_backbone, load_model
from auxfold.model.number_formats import NumberFormats, restore_fp32
from auxfold.model.pooling import AttentionPool, check_pooler, last_pool, mean_pool
from auxfold.model.shared_backbones import SharedBackbones
from auxfold.tasks import Task
from auxfold.tasks.constants import constant
from auxfold.tasks.kinds import task_to_record

# No "Loading weights": a run shows only one progress bar, that of auxfold.
transformers_logging.disable_progress_bar()


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
        max_prediction_tokens: the most tokens of a batch that fitted, since the GPU ran out of
            memory in a prediction; None: it never did.
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
        if getattr(backbone.config, "is_causal", True) is False:
            make_bidirectional(backbone)
        hidden = backbone.config.hidden_size
        keep_residuals_fp32(backbone, hidden)
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
        self.max_prediction_tokens: int | None = None
        self._fast_encoder: FastEncoder | None = None
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
        packed: PackedTokens | None = None,
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
            packed: rows without padding instead of all inputs above; empty rows get finite logits.
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
        inputs = Inputs(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        options = {
            "output_attentions": output_attentions,
            "output_hidden_states": output_hidden_states,
        }
        if any(v is not None for v in (task_name, labels, return_dict, *options.values())):
            name = head_name(self.config, task, tasks, task_name)
            output = classify(self, name, inputs, labels, options)
            is_tuple = not (self.config.return_dict if return_dict is None else return_dict)
            return output.to_tuple() if is_tuple else output
        names = head_names(self.config, task, tasks)
        features = self.features(*inputs) if packed is None else self.packed_features(packed)
        with torch.autocast(features.device.type, enabled=False):
            logits = {name: self.head_logits(name, features) for name in names}
        return logits if task is None else logits[task]

    def features(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``."""
        inputs = Inputs(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        return self.pool_tokens(self.encode(inputs), attention_mask)

    def packed_features(self, packed: PackedTokens) -> torch.Tensor:
        """The pooled vector of every packed row, fp32 ``(rows, hidden)``.

        Raises:
            ValueError: :meth:`fast_encoder` is None.
        """
        encoder = self._fast_encoder or self.fast_encoder()
        if encoder is None:
            raise ValueError(f"{self.backbone.config.model_type} as it is needs padded batches")
        return encoder(packed)

    def fast_encoder(self) -> FastEncoder | None:
        """The forward pass over packed tokens; None: the backbone only runs on padded batches."""
        if self._fast_encoder is None or not is_plain(self.backbone):
            pooling = self.config.pooling
            self._fast_encoder = build_fast_encoder(self.backbone, pooling, self.pool)
        return self._fast_encoder

    def encode(self, inputs: Inputs, **options: bool) -> Any:
        """The output of the backbone, which gets only the inputs that there are."""
        if inputs.input_ids is not None and inputs.attention_mask is None:
            self.backbone.warn_if_padding_and_no_attention_mask(inputs.input_ids, None)
        present = {name: v for name, v in inputs._asdict().items() if v is not None}
        return self.backbone(**present, **options)

    def pool_tokens(self, encoded: Any, mask: torch.Tensor | None) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``."""
        if self.config.pooling == "pooler":
            return encoded.pooler_output.float()
        hidden = encoded.last_hidden_state
        if self.config.pooling == "cls":
            return hidden[:, 0].float()
        mask = hidden.new_ones(hidden.shape[:2]) if mask is None else mask
        if self.config.pooling == "last":
            return last_pool(hidden, mask)
        if self.pool is not None:
            return self.pool(hidden, mask).float()
        return mean_pool(hidden, mask)

    def head_logits(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """The logits ``(rows, width)`` of one head, from features ``(rows, hidden)``."""
        return self.to_logits(task, self.scaled_outputs(task, features))

    def to_logits(self, task: str, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs of a head; of one that learns classes of a number one logit per column."""
        bins = self.config.bins.get(task)
        return outputs if bins is None or self.training else logit_of_expectation(outputs, bins)

    def scaled_outputs(self, task: str, features: torch.Tensor) -> torch.Tensor:
        """The outputs ``(rows, head_width)`` of one head in the units of its targets, fp32."""
        outputs = self._multisample_outputs(task, features)
        scale = self.config.scales.get(task)
        if scale is None:
            return outputs
        # From the configuration and not from buffers: exact in every number format of the weights.
        mean, std = (constant(scale[name], outputs.device) for name in ("mean", "std"))
        return outputs * std + mean

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
        Frozen weights in other number formats become fp32 first.
        """
        if not NumberFormats.from_reference(self.config.reference or {}).is_plain:
            restore_fp32(self.backbone)
        if merge_adapter(self.backbone):
            self.config.adapter = None
        self.config.reference = self._fast_encoder = None
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
        backbones: SharedBackbones | None = None,
        **kwargs: Any,
    ) -> MultiTaskModel:
        """Load as in transformers; with ``task_labels_map`` check or name the heads.

        The frozen backbone of an adapter is loaded by its reference.

        Args:
            pretrained_model_name_or_path: a fold folder or a hub name; with ``task_labels_map``
                also a checkpoint with numbered heads (see ``model/numbered_heads.py``) or without
                heads, which are then new.
            model_args: as in transformers.
            task_labels_map: head name to number of labels. Numbered heads get the names in this
                order. Heads that have names must have these names and widths.
            backbones: frozen backbones that the model shares with other models; None: an adapter
                loads a backbone for itself.
            kwargs: as in transformers.

        Raises:
            InputError: the heads are others than those of ``task_labels_map``, an adapter's
                backbone is missing or another one, or a file of a fold is damaged.
        """
        path, load_plain = pretrained_model_name_or_path, super().from_pretrained
        return load_model(cls, load_plain, path, model_args, task_labels_map, kwargs, backbones)


AutoConfig.register("auxfold", MultiTaskConfig, exist_ok=True)
AutoModel.register(MultiTaskConfig, MultiTaskModel, exist_ok=True)
