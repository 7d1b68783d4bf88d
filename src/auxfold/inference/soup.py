"""One model with the mean of the folds' weights: a uniform soup (Wortsman et al. 2022).

*Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time*. The folds start from the same pretrained backbone, so that their weights stay near
each other, and one forward pass can replace those of all folds. Whether it predicts as well as the
fold ensemble has to be measured on labeled test rows: a soup has seen every training row, so that
it has no out-of-fold score.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from auxfold.config import consistency
from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.inference.merge import load_merged_fold
from auxfold.model.averaging import average_states
from auxfold.model.multitask import MultiTaskModel
from auxfold.storage.run_folder import FoldFolder


def check_soup(experiment: Experiment) -> None:
    """Refuse weights whose mean has no meaning, before anything is loaded.

    Raises:
        InputError: naming the setting.
    """
    try:
        consistency.check_soup(experiment.model)
    except ValueError as error:
        raise InputError(str(error)) from None


def make_soup(folders: list[FoldFolder]) -> MultiTaskModel:
    """A model with the mean of the weights of folds, in fp32 on the CPU.

    Only one fold and the mean are in memory. Adapters are merged into their backbones before, and
    heads whose outputs are scaled are brought to the scale of the first fold.

    Raises:
        InputError: the folds have other tensors, or buffers that differ.
    """
    soup = load_merged_fold(folders[0])
    if len(folders) > 1:
        soup.load_state_dict(average_states(_states(soup, folders)))
    return soup.eval()


def _states(first: MultiTaskModel, folders: list[FoldFolder]) -> Iterator[dict[str, torch.Tensor]]:
    """The weights of each fold, whose names and shapes are those of the first one."""
    shapes = {name: values.shape for name, values in first.state_dict().items()}
    buffers = {name: values for name, values in first.named_buffers() if name in shapes}
    yield {name: values.clone() for name, values in first.state_dict().items()}
    for folder in folders[1:]:
        model = load_merged_fold(folder)
        _match_scales(model, first)
        state = model.state_dict()
        if {name: values.shape for name, values in state.items()} != shapes:
            raise InputError(
                f"{folder.path} and {folders[0].path} have other heads or backbones; their weights "
                f"cannot be averaged: take inference.average = 'probability'"
            )
        for name, values in buffers.items():
            if not torch.equal(state[name], values):
                raise InputError(
                    f"{folder.path} and {folders[0].path} differ in the buffer {name}, which is no "
                    f"weight and has no mean: take inference.average = 'probability'"
                )
        yield state


@torch.no_grad()
def _match_scales(model: MultiTaskModel, first: MultiTaskModel) -> None:
    """Rewrite heads so that their outputs are the same under the scales of another fold.

    Outputs are ``(w·x + b) * std + mean``, where mean and deviation are those of the labels that
    the fold was trained on.
    """
    for task, scale in model.config.scales.items():
        head, target = model.heads[task], first.config.scales[task]
        assert isinstance(head, nn.Linear)  # as of all numbers
        mean, std = (torch.tensor(scale[key]) for key in ("mean", "std"))
        new_mean, new_std = (torch.tensor(target[key]) for key in ("mean", "std"))
        head.weight.mul_((std / new_std)[:, None])
        head.bias.mul_(std / new_std).add_((mean - new_mean) / new_std)
