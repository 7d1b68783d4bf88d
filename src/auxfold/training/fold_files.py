"""The files of a finished fold."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pandas as pd
from transformers import PreTrainedTokenizerBase

from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.tokenizer_files import save_tokenizer
from auxfold.model.adapters.injection import trainable_state_dict
from auxfold.model.multitask import MultiTaskModel
from auxfold.report.model_card import model_card
from auxfold.storage.atomic import atomic_write_files, write_frame, write_json, write_text
from auxfold.storage.checksums import write_checksums
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import FoldFolder
from auxfold.storage.working import finish_working


def write_fold(
    folder: FoldFolder,
    experiment: Experiment,
    model: MultiTaskModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    oof: pd.DataFrame | None,
    metrics: dict[str, float | None],
    history: list[dict[str, Any]],
    record: dict[str, Any],
) -> None:
    """Fill the working folder of a fold, and rename it to the fold's folder.

    Args:
        folder: the folder of the fold.
        experiment: what it was trained with.
        model: with the weights to store.
        tokenizer: of the backbone.
        oof: predictions of the held-out rows; None where there are none.
        metrics: their scores.
        history: one record per evaluation.
        record: the content of ``run.json``.
    """
    working = FoldFolder(folder.working)
    if oof is not None:
        write_frame(working.oof, oof)
    is_complete = model.config.reference is None  # otherwise without the frozen backbone
    weights = model.state_dict() if is_complete else trainable_state_dict(model)
    n_bytes = sum(tensor.nbytes for tensor in weights.values())
    names = atomic_write_files(working.path, model.save_pretrained, n_bytes)
    names += atomic_write_files(working.path, partial(save_tokenizer, tokenizer))
    write_text(working.experiment, to_toml(experiment))
    lines = (json.dumps(evaluation, allow_nan=False) for evaluation in history)
    write_text(working.history, "".join(line + "\n" for line in lines))
    write_json(working.metrics, metrics)
    write_text(working.card, model_card(experiment, record, metrics))
    records = [working.oof, working.experiment, working.history, working.metrics]
    write_checksums(working.path, [*names, *(path.name for path in records if path.is_file())])
    write_record(working.run, record)  # with its own checksum; it makes the folder a complete fold
    finish_working(folder)
