"""Models and tokenizers of folds, for predictions."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from auxfold.errors import InputError
from auxfold.model.amp import all_devices, cast_linear_layers
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.shared_backbones import SharedBackbones
from auxfold.storage.run_folder import FoldFolder


class FoldLoader:
    """Loads the models of folds for predictions on one device.

    Folds that are adapters of one backbone share its weights, which are loaded with the first.

    Args:
        device: where the models predict.
        keep_all: whether the backbones of all folds stay in memory; else only the last one does.
        backbone_folder: has a copy of the backbone of all adapters; None: each fold refers to one.
    """

    def __init__(
        self, device: torch.device, keep_all: bool = False, backbone_folder: str | None = None
    ) -> None:
        self.device, self.keep_all, self.backbone_folder = device, keep_all, backbone_folder
        self._backbones: dict[str, SharedBackbones] = {}

    def load(self, folder: FoldFolder, amp_dtype: str) -> MultiTaskModel:
        """The model of a fold, prepared for predictions.

        Args:
            folder: the fold.
            amp_dtype: the number format of the forward pass, to which linear layers may be cast.
        """
        if amp_dtype not in self._backbones:
            if not self.keep_all:
                self._backbones.clear()
            self._backbones[amp_dtype] = SharedBackbones(self.keep_all, self.backbone_folder)
        # Quantized weights are made on the current GPU.
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            model = MultiTaskModel.from_pretrained(
                folder.path, dtype=torch.float32, backbones=self._backbones[amp_dtype]
            )
            return prepare_model(model, self.device, amp_dtype)


def make_fold_loaders(devices: list[str] | None) -> list[FoldLoader]:
    """A loader per device, for models that all stay in memory.

    Args:
        devices: names of the devices; None: every CUDA device, or the CPU.
    """
    torch_devices = [torch.device(name) for name in devices] if devices else all_devices()
    return [FoldLoader(device, keep_all=True) for device in torch_devices]


def prepare_model(model: MultiTaskModel, device: torch.device, amp_dtype: str) -> MultiTaskModel:
    """Bring a model to the device that it predicts on, in evaluation mode.

    A GPU gets linear layers in the number format of the forward pass, unless the fast encoder runs,
    which has copies of them in it.
    """
    if device.type == "cuda" and model.fast_encoder() is None:
        cast_linear_layers(model.backbone, amp_dtype)
    model.to(device)  # type: ignore[arg-type]  # the wrapper of transformers hides the overloads
    return model.eval()


def load_fold_tokenizer(folder: FoldFolder) -> Any:
    """The tokenizer of a fold.

    Raises:
        InputError: it is damaged, or it cannot be loaded, for example because it names Python code
            of its own.
    """
    from transformers import AutoTokenizer

    folder.check_tokenizer()
    try:
        return AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False)
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{folder.path} has a tokenizer that cannot be loaded: {reason}") from None
