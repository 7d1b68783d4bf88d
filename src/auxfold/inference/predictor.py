"""Trained folds in Python: texts in, a DataFrame out, in the order and with the index given."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import torch

from auxfold.data.batches import TokenizedDataset, tokenize_dataset
from auxfold.errors import InputError, nearest
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble, average_folds, load_fold
from auxfold.inference.postprocess import Postprocess
from auxfold.inference.predict import predict_logits
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.precision import all_devices, choose_precision
from auxfold.postprocessing.averaging import check_average
from auxfold.tasks import Task

ROWS_AT_ONCE = 50_000  # tokenised and predicted together: bounds the memory beside the texts


class Predictor:
    """All models of an ensemble, kept on every device.

    Args:
        ensemble: the folds.
        devices: where to predict, each a share of the rows; every CUDA device, or the CPU.
    """

    def __init__(self, ensemble: Ensemble, devices: list[str] | None = None) -> None:
        self.ensemble, self.experiment = ensemble, ensemble.experiment
        self.devices = [torch.device(d) for d in devices] if devices else all_devices()
        self.models: list[list[MultiTaskModel]] = []
        for device in self.devices:
            loaded = [load_fold(folder, device) for folder in ensemble.folders]
            self.models.append([model for model, _ in loaded])
            self.tokenizer = loaded[0][1]  # equal in all folds of one experiment

    def predict(
        self,
        texts: str | list[Any] | np.ndarray | pd.Series | pd.DataFrame,
        tasks: str | list[str] | None = None,
        average: str | None = None,
        calibrate: str | None = None,
        decide: str | None = None,
    ) -> pd.DataFrame:
        """Predictions of every text, averaged over the folds.

        Args:
            texts: one string, several, or a table that has the experiment's text columns; for an
                experiment on text pairs, a list of pairs or such a table.
            tasks: a task, several, or ``"all"``; the main task when left out.
            average: ``probability``, ``logit``, ``rank`` or ``power``; the experiment's own when
                left out. A rank is among the texts of this call.
            calibrate: ``temperature`` or ``isotonic``, as ``scripts/evaluate.py`` found it.
            decide: ``f1`` or ``precision=P``: answers 1 or 0 by the thresholds found there.

        Returns:
            One column per predicted label (of a multi-class task the likeliest class, then each
            class's probability); rows in the order and with the index of ``texts``.

        Raises:
            InputError: something that is not a text, a missing column, an unknown task, an
                average that is not for one of the tasks, the rank of a single text, a calibration
                or thresholds that are not stored.
        """
        names = [tasks] if isinstance(tasks, str) else tasks
        if tasks == "all":
            names = [task.name for task in self.experiment.tasks]
        wanted = self.ensemble.tasks(names)
        columns, index = _text_columns(texts, self.experiment.data.text_columns)
        average = average or self.experiment.inference.average
        check_average(average, wanted, len(index))
        after = Postprocess.of(self.ensemble, wanted, calibrate, decide, average)
        return _answers(wanted, after.apply(wanted, self.means(columns, wanted, average)), index)

    def means(
        self, columns: list[list[str]], tasks: list[Task], average: str
    ) -> dict[str, np.ndarray]:
        """The folds' mean by task name, ``(rows, n_outputs)``, of texts column by column."""
        n_rows = len(columns[0])
        edges = np.cumsum([0, *(task.n_outputs for task in tasks)])
        logits = np.empty((len(self.ensemble.folders), n_rows, edges[-1]), dtype=np.float32)
        for start in range(0, n_rows, ROWS_AT_ONCE):
            piece = [column[start : start + ROWS_AT_ONCE] for column in columns]
            logits[:, start : start + ROWS_AT_ONCE] = self._logits(piece, tasks)
        places = {t.name: slice(edges[i], edges[i + 1]) for i, t in enumerate(tasks)}
        folds = ({name: one[:, place] for name, place in places.items()} for one in logits)
        return average_folds(folds, tasks, average, self.experiment.inference.power)

    def _logits(self, texts: list[list[str]], tasks: list[Task]) -> np.ndarray:
        """``(folds, rows, outputs)``; each device takes every n-th row by length."""
        rows = tokenize_dataset(texts, self.tokenizer, self.experiment.model)
        order = np.argsort(rows.lengths(), kind="stable")
        n_devices = len(self.devices)
        shares = [order[i::n_devices] for i in range(n_devices)]
        with ThreadPoolExecutor(n_devices) as pool:
            jobs = [
                pool.submit(self._on_device, number, rows, share, tasks)
                for number, share in enumerate(shares)
                if len(share)
            ]
            done = [job.result() for job in jobs]
        return np.concatenate(done, axis=1)[:, np.argsort(np.concatenate(shares))]

    def _on_device(
        self, number: int, rows: TokenizedDataset, share: np.ndarray, tasks: list[Task]
    ) -> np.ndarray:
        precision = choose_precision(self.experiment.train.precision, self.devices[number])
        made = []
        for model in self.models[number]:
            logits = predict_logits(
                model,
                rows,
                share,
                tasks=[task.name for task in tasks],
                max_tokens=self.experiment.inference.max_tokens_per_batch,
                precision=precision,
            )
            made.append(np.concatenate([logits[task.name] for task in tasks], axis=1))
        return np.stack(made)


class BlendPredictor:
    """All models of a blend's runs, kept on every device.

    Args:
        blend: the runs and their weights.
        devices: where to predict, each a share of the rows; every CUDA device, or the CPU.
    """

    def __init__(self, blend: Blend, devices: list[str] | None = None) -> None:
        self.blend = blend
        self.predictors = {n: Predictor(blend.members[n], devices) for n in blend.needed()}

    def predict(
        self,
        texts: str | list[Any] | np.ndarray | pd.Series | pd.DataFrame,
        calibrate: str | None = None,
        decide: str | None = None,
    ) -> pd.DataFrame:
        """Predictions of every text by every run, averaged by the blend's weights.

        Args:
            texts: as :meth:`Predictor.predict` takes them; a table needs every run's text columns.
            calibrate: ``temperature`` or ``isotonic``, as ``scripts/blend.py`` found it.
            decide: ``f1`` or ``precision=P``: answers 1 or 0 by the thresholds found there.

        Returns:
            One column per blended label; rows in the order and with the index of ``texts``.

        Raises:
            InputError: as :meth:`Predictor.predict`.
        """
        tasks, record = self.blend.tasks(), self.blend.record
        after = Postprocess.of_blend(record, tasks, calibrate, decide)
        made, index = {}, pd.RangeIndex(0)
        for number, predictor in self.predictors.items():
            experiment, own = predictor.experiment, self.blend.member_tasks(predictor.ensemble)
            columns, index = _text_columns(texts, experiment.data.text_columns)
            check_average(record["average"], tasks, len(index))
            means = predictor.means(columns, own, self.blend.average_of(predictor.ensemble))
            made[number] = self.blend.columns_of(predictor.ensemble, means)
        return _answers(tasks, after.apply(tasks, self.blend.combine(made, len(index))), index)


def _answers(tasks: list[Task], made: dict[str, np.ndarray], index: pd.Index) -> pd.DataFrame:
    """Predictions by task name as a table."""
    told: dict[str, np.ndarray] = {}
    for task in tasks:
        told |= task.to_columns(made[task.name])
    return pd.DataFrame(told, index=index)


def _text_columns(texts: Any, names: list[str]) -> tuple[list[list[str]], pd.Index]:
    """One list of strings per text column, and the index of the answer."""
    if isinstance(texts, pd.DataFrame):
        for name in names:
            if name not in texts.columns:
                raise InputError(
                    f"the table has no text column {name!r}{nearest(name, map(str, texts.columns))}"
                )
        columns, index = [texts[name].tolist() for name in names], texts.index
    else:
        index = texts.index if isinstance(texts, pd.Series) else None
        if not isinstance(texts, str | list | tuple | np.ndarray | pd.Series):
            raise InputError(f"expected texts, got {type(texts).__name__}; see auxfold.load")
        rows = [texts] if isinstance(texts, str) else list(texts)
        columns = _unzip(rows) if len(names) == 2 else [rows]
        index = pd.RangeIndex(len(rows)) if index is None else index
    for column in columns:
        for place, text in enumerate(column):
            if not isinstance(text, str):
                raise InputError(f"row {place + 1} is not a text: {text!r}")
    return columns, index


def _unzip(rows: list[Any]) -> list[list[Any]]:
    for place, row in enumerate(rows):
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise InputError(f"row {place + 1} is not a pair of texts: {row!r}")
    return [[row[0] for row in rows], [row[1] for row in rows]]
