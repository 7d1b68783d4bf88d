"""One backbone, one head per task, as a ``transformers`` model people know how to handle."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME, cached_file
from transformers.utils import logging as transformers_logging

from auxfold.errors import InputError, UnknownName, nearest
from auxfold.model.adapters.injection import (
    adapter_settings,
    add_adapter,
    load_trained_state,
    merge_adapter,
    trained_state,
)
from auxfold.model.binned import logit_of_expectation
from auxfold.model.config import MultiTaskConfig
from auxfold.model.numbered_heads import check_heads, named
from auxfold.model.pooling import AttentionPool, mean_pool
from auxfold.model.reference import load_reference

# Options of ``from_pretrained`` that say where files come from.
FROM_HUB = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")

transformers_logging.disable_progress_bar()  # "Loading weights": a run shows one bar, its own


class MultiTaskModel(PreTrainedModel):
    """A backbone with pooling and one linear head per task.

    ``model(input_ids, attention_mask)`` gives a dictionary from task name to fp32 logits
    ``(rows, width)``, ``tasks=[…]`` that of some, and ``task="…"`` the logits of one; only the
    named heads are computed.

    Attributes:
        tap: in training, what a head sees of the features ``(rows, hidden)`` goes through
            ``tap(task, features)``, where a task's own gradient can be watched and scaled.
    """

    config_class = MultiTaskConfig
    base_model_prefix = "backbone"
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: MultiTaskConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        if backbone is None:
            # Only "eager" is passed on: else each backbone takes the best attention it has.
            eager = config._attn_implementation == "eager"
            backbone = AutoModel.from_config(
                config.backbone_config(), attn_implementation="eager" if eager else None
            )
        if config.pooling == "pooler":
            if getattr(backbone, "pooler", None) is None:
                kind = backbone.config.model_type
                raise InputError(f"model.pooling = 'pooler': {kind} has no pooler of its own")
        elif getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None  # not used here: it would be trained by nobody and saved
        self.backbone = backbone
        hidden = backbone.config.hidden_size
        self.dropout = nn.Dropout(config.head_dropout)
        self.pool = AttentionPool(hidden) if config.pooling == "attention" else None
        self.heads = nn.ModuleDict(
            {name: nn.Linear(hidden, width) for name, width in config.heads.items()}
        )
        self.tap: Callable[[str, torch.Tensor], torch.Tensor] | None = None
        self.post_init()
        if config.adapter is not None:  # after post_init, which would start it anew
            add_adapter(self.backbone, adapter_settings(config.adapter))

    def save_pretrained(self, save_directory: str | os.PathLike, **options: Any) -> None:
        """As of every ``transformers`` model; beside a reference only what is trained is stored."""
        if self.config.reference is not None:
            options.setdefault("state_dict", trained_state(self))
        super().save_pretrained(save_directory, **options)

    def merge(self) -> MultiTaskModel:
        """Make this a plain model, in place: it needs no other backbone, and no peft.

        LoRA, DoRA and IA3 become part of the weights; bottlenecks and prefixes stay as modules.
        """
        if merge_adapter(self.backbone):
            self.config.adapter = None
        self.config.reference = None
        return self.requires_grad_(True)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *model_args: Any,
        task_labels_map: dict[str, int] | None = None,
        **kwargs: Any,
    ) -> MultiTaskModel:
        """As in transformers; with ``task_labels_map`` the heads are those it names, or an error.

        The backbone of an adapter is loaded by its reference.

        Args:
            pretrained_model_name_or_path: a fold folder or a hub name; with ``task_labels_map``
                also a checkpoint whose heads are numbered (see ``model/numbered_heads.py``).
            model_args: passed on.
            task_labels_map: head name to number of labels. Numbered heads get the names in this
                order; of a model of ours names and widths must be equal.
            kwargs: passed on.

        Raises:
            InputError: the heads are others than those of ``task_labels_map``; an adapter's
                backbone is not there, or is another one.
        """
        place = pretrained_model_name_or_path
        if task_labels_map is not None:
            found = named(str(place), task_labels_map, kwargs)
            if found is not None:
                config, weights = cls._of_numbered_heads(found[0], task_labels_map), found[1]
                return super().from_pretrained(None, config=config, state_dict=weights, **kwargs)
        made = cls._load(place, *model_args, **kwargs)
        if task_labels_map is not None:
            model = made[0] if isinstance(made, tuple) else made  # with output_loading_info
            check_heads(str(place), model.config.widths(), task_labels_map)
        return made

    @classmethod
    def _load(cls, path: str | os.PathLike | None, *arguments: Any, **options: Any) -> Any:
        """A model of ours: whole, or what was trained beside the backbone that it refers to."""
        config, hub = options.get("config"), {k: options[k] for k in FROM_HUB if k in options}
        if path is not None and not isinstance(config, MultiTaskConfig):
            config = MultiTaskConfig.from_pretrained(path, **hub)
        if config is None or config.reference is None:
            return super().from_pretrained(path, *arguments, **options)
        _refuse_other(options)
        backbone = load_reference(
            config.reference,
            config.backbone_config(),
            attn_implementation=options.get("attn_implementation"),
        )
        model = cls(config, backbone=backbone)
        load_trained_state(model, load_file(cached_file(path, SAFE_WEIGHTS_NAME, **hub)))
        return model.to(options.get("dtype") or torch.float32).eval()

    @classmethod
    def _of_numbered_heads(cls, backbone: PreTrainedConfig, heads: dict[str, int]) -> Any:
        dropout = getattr(backbone, "classifier_dropout", None)
        return cls.config_class(
            backbone=backbone.to_dict(),
            heads=dict(heads),
            main_task=next(iter(heads)),
            pooling="pooler",
            head_dropout=getattr(backbone, "hidden_dropout_prob", 0.1)
            if dropout is None
            else dropout,
        )

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        tasks: list[str] | None = None,
        task: str | None = None,
    ) -> dict[str, torch.Tensor] | torch.Tensor:
        """Logits by task name, or of one task.

        Args:
            input_ids: ``(rows, tokens)``.
            attention_mask: ``(rows, tokens)``, 0 where padded.
            token_type_ids: ``(rows, tokens)``, where the backbone knows them.
            tasks: the heads to compute; all when left out.
            task: the one head to compute; its logits ``(rows, width)`` come without a dictionary.

        Raises:
            UnknownName: no such task, or both ``task`` and ``tasks``.
        """
        if task is not None and tasks is not None:
            raise UnknownName("give task or tasks, not both")
        names = [task] if task is not None else list(self.heads) if tasks is None else tasks
        for name in names:
            if name not in self.heads:
                known = ", ".join(self.heads)
                raise UnknownName(f"no task {name!r}{nearest(name, self.heads)}; tasks: {known}")
        features = self.features(input_ids, attention_mask, token_type_ids)
        with torch.autocast(features.device.type, enabled=False):
            made = {name: self._head(name, features) for name in names}
        return made if task is None else made[task]

    def _head(self, name: str, features: torch.Tensor) -> torch.Tensor:
        masks = self.config.multisample_dropout if self.training else 1
        outputs = (
            sum(self.heads[name](self.dropout(self._seen(name, features))) for _ in range(masks))
            / masks
        )
        bins = self.config.bins.get(name)
        if bins is not None and not self.training:
            return logit_of_expectation(outputs, bins)
        scale = self.config.scales.get(name)
        if scale is None:
            return outputs
        # From the configuration, not buffers: exact whatever format the weights are stored in.
        return outputs * outputs.new_tensor(scale["std"]) + outputs.new_tensor(scale["mean"])

    def _seen(self, name: str, features: torch.Tensor) -> torch.Tensor:
        return features if self.tap is None else self.tap(name, features)

    def features(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        outputs = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **types)
        if self.config.pooling == "pooler":
            return outputs.pooler_output.float()
        hidden = outputs.last_hidden_state
        if self.config.pooling == "cls":
            return hidden[:, 0].float()
        if self.pool is not None:
            return self.pool(hidden, attention_mask).float()
        return mean_pool(hidden, attention_mask)

    def set_scale(self, task: str, mean: list[float], std: list[float]) -> None:
        """What a head's outputs are multiplied by and moved to, one number per output."""
        self.config.scales = {**self.config.scales, task: {"mean": mean, "std": std}}

    def set_bins(self, task: str, bins: int) -> None:
        """Of how many classes per column a head's outputs are."""
        self.config.bins = {**self.config.bins, task: bins}

    def set_head_bias(self, task: str, bias: torch.Tensor) -> None:
        """Start a head at a bias ``(width,)``."""
        with torch.no_grad():
            self.heads[task].bias.copy_(bias)


def _refuse_other(options: dict[str, Any]) -> None:
    """Refuse what ``from_pretrained`` takes for plain models only, rather than forget it."""
    known = {*FROM_HUB, "config", "dtype", "attn_implementation", "trust_remote_code"}
    known.add("adapter_kwargs")  # from AutoModel, for peft's own files
    other = [name for name in options if name not in known and not name.startswith("_")]
    if other:
        raise InputError(
            f"from_pretrained: {other[0]} is not for a model whose backbone is stored elsewhere; "
            f"scripts/merge.py makes plain models of adapters"
        )


AutoConfig.register("auxfold", MultiTaskConfig, exist_ok=True)
AutoModel.register(MultiTaskConfig, MultiTaskModel, exist_ok=True)
