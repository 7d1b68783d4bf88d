"""Frozen backbones that the models of several folds have in common."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

from transformers import PreTrainedModel

from auxfold.model.config import MultiTaskConfig


class SharedBackbones:
    """Loads a frozen backbone once for all models that are adapters of it.

    Each model gets modules of its own, to which it adds its adapter, around the very same frozen
    parameters. Five folds need the time and the memory of one backbone, and a change of such a
    parameter, its number format or its device is a change for all of them.

    Args:
        keep_all: whether a backbone stays when another one is asked for; else only the last one
            does, since two may not fit into memory.
        folder: has a copy of the backbone, which is loaded from there instead of by its name.
    """

    def __init__(self, keep_all: bool = False, folder: str | None = None) -> None:
        self.keep_all, self.folder = keep_all, folder
        self._backbones: dict[str, PreTrainedModel] = {}

    def get(
        self,
        config: MultiTaskConfig,
        load: Callable[[], PreTrainedModel],
        attention: str | None = None,
    ) -> PreTrainedModel:
        """The backbone of a model, whose frozen parameters are those of the models before.

        Args:
            config: of the model.
            load: loads the backbone, where no model before had the same one.
            attention: the attention implementation that it is loaded with.
        """
        # The kind of adapter decides about number formats on a GPU; see `prepare_model`.
        kind = None if config.adapter is None else config.adapter["kind"]
        parts = [config.reference, config.backbone, kind, attention]
        key = json.dumps(parts, sort_keys=True, default=str)
        if key not in self._backbones:
            if not self.keep_all:
                self._backbones.clear()  # before the next one is loaded
            self._backbones[key] = load().requires_grad_(False)
        return copy_around_parameters(self._backbones[key])


def copy_around_parameters(backbone: PreTrainedModel) -> PreTrainedModel:
    """A copy of the modules of a backbone around the same parameters.

    The pooler gets parameters of its own, because it is trained with the heads.
    """
    shared = [p for name, p in backbone.named_parameters() if not name.startswith("pooler.")]
    return copy.deepcopy(backbone, {id(parameter): parameter for parameter in shared})
