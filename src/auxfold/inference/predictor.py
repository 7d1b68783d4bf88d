"""Trained folds in Python: predict texts and get a DataFrame in the same order."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch

from auxfold.data.dataset import TokenizedDataset, tokenize_dataset
from auxfold.errors import InputError
from auxfold.evaluation.token_statistics import SAMPLE_ROWS, measure_tokens
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble, average_folds, prediction_average
from auxfold.inference.fold_loader import (
    FoldLoader,
    load_fold_tokenizer,
    make_fold_loaders,
    prepare_model,
)
from auxfold.inference.postprocess import Postprocess
from auxfold.inference.predict import concatenate_logits, predict_fold_logits, split_logits
from auxfold.inference.soup import check_soup, make_soup
from auxfold.inference.text_rows import Texts, read_text_rows
from auxfold.model.amp import choose_amp_dtype
from auxfold.model.backbone import runs_padding_free
from auxfold.model.multitask import MultiTaskModel
from auxfold.postprocessing.averaging import check_average
from auxfold.storage.run_folder import SOUP
from auxfold.tasks import TaskSet

# Rows that are tokenized and predicted together. This bounds the memory in addition to the texts.
CHUNK_SIZE = 50_000
MIN_CHARACTERS = 300  # of the texts of a call, from which they show their language


class Predictor:
    """All models of an ensemble, in memory on every device.

    Adapters of one backbone share its weights, so that a device has them once.

    Args:
        ensemble: the folds.
        models: for every device, the models of all folds, or a soup of them.
        tokenizer: the tokenizer, which is the same in all folds of one experiment.
        devices: each of them predicts a part of the rows.
        average: how the folds are averaged, unless a call says otherwise.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        models: list[list[MultiTaskModel]],
        tokenizer: Any,
        devices: list[torch.device],
        average: str,
    ) -> None:
        self.ensemble, self.experiment, self.average = ensemble, ensemble.experiment, average
        self.models, self.tokenizer, self.devices = models, tokenizer, devices
        self._has_checked_texts = False

    @classmethod
    def load(
        cls,
        ensemble: Ensemble,
        devices: list[str] | None = None,
        average: str | None = None,
        loaders: list[FoldLoader] | None = None,
    ) -> Predictor:
        """Load the models of an ensemble.

        Args:
            ensemble: the folds.
            devices: names of the devices; None: every CUDA device, or the CPU.
            average: how the folds are averaged; None: as the experiment says. With ``soup`` every
                device has one model, with the mean of the folds' weights.
            loaders: one per device in place of ``devices``, maybe with backbones that the folds of
                other runs have left.

        Raises:
            InputError: the weights have no mean.
        """
        average = average or ensemble.experiment.inference.average
        loaders = loaders or make_fold_loaders(devices)
        if average == SOUP:
            check_soup(ensemble.experiment)
            soup = make_soup(ensemble.folders)
        models = []
        for loader in loaders:
            amp_dtype = choose_amp_dtype(ensemble.experiment.train.precision, loader.device)
            models.append(
                [prepare_model(deepcopy(soup), loader.device, amp_dtype)]
                if average == SOUP
                else [loader.load(folder, amp_dtype) for folder in ensemble.folders]
            )
        tokenizer = load_fold_tokenizer(ensemble.folders[0])
        return cls(ensemble, models, tokenizer, [loader.device for loader in loaders], average)

    def predict(
        self,
        texts: Texts,
        tasks: str | list[str] | None = None,
        average: str | None = None,
        calibrate: str | None = None,
        threshold: str | None = None,
    ) -> pd.DataFrame:
        """Predict every text, averaged over the folds.

        Args:
            texts: a string, several strings, or a table with the experiment's text columns. For an
                experiment on text pairs: a list of pairs, or such a table. For a template: such a
                table, or a list of dictionaries or of tuples in the order of the columns.
            tasks: the name of a task, several names, or ``"all"``; None: the main task.
            average: ``probability``, ``logit``, ``rank`` or ``power``; None: as it was loaded.
                Ranks are those within the texts of this call. A soup is chosen by loading it.
            calibrate: ``temperature`` or ``isotonic``, as fitted by ``scripts/evaluate.py``.
            threshold: ``f1`` or ``precision=P``: predict 1 or 0 with the thresholds that
                ``scripts/evaluate.py`` tuned.

        Returns:
            One column per predicted label (for a multi-class task the most probable class, then the
            probability of each class). The rows have the order and the index of ``texts``.

        Raises:
            InputError: something is not a text, a column or a task is missing, the average does
                not suit one of the tasks or a single text, or there is no stored calibration or
                threshold.
        """
        names = [tasks] if isinstance(tasks, str) else tasks
        if tasks == "all":
            names = self.ensemble.tasks.names
        task_set = self.ensemble.select_tasks(names)
        columns, index = read_text_rows(texts, self.experiment.data)
        average = average or self.average
        self._check_average(average, task_set, len(index))
        postprocess = Postprocess.for_ensemble(
            self.ensemble, task_set, calibrate, threshold, average
        )
        predictions = self.predict_means(columns, task_set, average)
        return _prediction_frame(task_set, postprocess.apply(task_set, predictions), index)

    def _check_average(self, average: str, tasks: TaskSet, n_rows: int) -> None:
        if (average == SOUP) != (self.average == SOUP):
            loaded = "a soup" if self.average == SOUP else "each fold's model"
            raise InputError(
                f"average = {average!r}: {loaded} was loaded; give auxfold.load(…, "
                f"average={average!r})"
            )
        check_average(prediction_average(average), tasks, n_rows)

    def predict_means(
        self, texts: list[list[str]], tasks: TaskSet, average: str
    ) -> dict[str, np.ndarray]:
        """The mean predictions of the folds.

        Args:
            texts: one list of strings per text column.
            tasks: the tasks to predict.
            average: how the folds are averaged.

        Returns:
            Task name to predictions ``(rows, n_outputs)``.
        """
        self._check_texts(texts)
        n_rows, n_outputs = len(texts[0]), sum(task.n_outputs for task in tasks)
        logits = np.empty((len(self.models[0]), n_rows, n_outputs), dtype=np.float32)
        for start in range(0, n_rows, CHUNK_SIZE):
            chunk = [column[start : start + CHUNK_SIZE] for column in texts]
            logits[:, start : start + CHUNK_SIZE] = self._predict_chunk(chunk, tasks)
        fold_logits = (split_logits(fold, tasks) for fold in logits)
        return average_folds(fold_logits, tasks, average, self.experiment.inference.power)

    def _check_texts(self, texts: list[list[str]]) -> None:
        """Warn once about texts in a language that the backbone was not made for."""
        n_characters = sum(len(text) for column in texts for text in column[:SAMPLE_ROWS])
        if self._has_checked_texts or n_characters < MIN_CHARACTERS:
            return
        self._has_checked_texts = True
        experiment = self.experiment
        statistics = measure_tokens(texts, self.tokenizer, experiment.model, experiment.data)
        if line := statistics.language_warning():
            warnings.warn(line, stacklevel=4)

    def _predict_chunk(self, texts: list[list[str]], tasks: TaskSet) -> np.ndarray:
        """Logits ``(folds, rows, outputs)``; each device takes every n-th row by length."""
        experiment = self.experiment
        dataset = tokenize_dataset(texts, self.tokenizer, experiment.model, None, experiment.data)
        order = np.argsort(dataset.lengths(), kind="stable")
        n_devices = len(self.devices)
        shards = [order[start::n_devices] for start in range(n_devices)]
        with ThreadPoolExecutor(n_devices) as pool:
            jobs = [
                pool.submit(self._predict_shard, device_index, dataset, indices, tasks)
                for device_index, indices in enumerate(shards)
                if len(indices)
            ]
            logits = [job.result() for job in jobs]
        return np.concatenate(logits, axis=1)[:, np.argsort(np.concatenate(shards))]

    def _predict_shard(
        self, device_index: int, dataset: TokenizedDataset, indices: np.ndarray, tasks: TaskSet
    ) -> np.ndarray:
        """Logits ``(folds, len(indices), outputs)`` of some rows, on one device."""
        device = self.devices[device_index]
        models = self.models[device_index]
        fold_logits = predict_fold_logits(
            models,
            dataset,
            indices,
            tasks=tasks.names,
            max_tokens=self.experiment.inference.max_tokens_per_batch,
            amp_dtype=choose_amp_dtype(self.experiment.train.precision, device),
            packed=runs_padding_free(models[0], self.experiment.model, device.type),
        )
        return np.stack([concatenate_logits(logits, tasks.names) for logits in fold_logits])


class BlendPredictor:
    """All models of a blend's runs, in memory on every device.

    Adapters of one backbone share its weights, whichever run they are of.

    Args:
        blend: the runs and their weights.
        predictors: index of the run to its models, for every run with a weight.
    """

    def __init__(self, blend: Blend, predictors: dict[int, Predictor]) -> None:
        self.blend, self.predictors = blend, predictors

    @classmethod
    def load(cls, blend: Blend, devices: list[str] | None = None) -> BlendPredictor:
        """Load the models of every run with a weight.

        Args:
            blend: the runs and their weights.
            devices: names of the devices; None: every CUDA device, or the CPU.
        """
        loaders = make_fold_loaders(devices)
        members = {index: blend.members[index] for index in blend.weighted_members()}
        predictors = {
            index: Predictor.load(member, None, blend.fold_average(member), loaders)
            for index, member in members.items()
        }
        return cls(blend, predictors)

    def predict(
        self, texts: Texts, calibrate: str | None = None, threshold: str | None = None
    ) -> pd.DataFrame:
        """Predict every text with every run, averaged with the weights of the blend.

        Args:
            texts: as for :meth:`Predictor.predict`; a table needs the text columns of every run.
            calibrate: ``temperature`` or ``isotonic``, as fitted by ``scripts/blend.py``.
            threshold: ``f1`` or ``precision=P``: predict 1 or 0 with the thresholds that
                ``scripts/blend.py`` tuned.

        Returns:
            One column per blended label. The rows have the order and the index of ``texts``.

        Raises:
            InputError: as :meth:`Predictor.predict`.
        """
        blend, tasks = self.blend, self.blend.tasks
        postprocess = Postprocess.for_blend(blend.record, tasks, calibrate, threshold)
        member_columns = {}
        index: pd.Index = pd.RangeIndex(0)
        for number, predictor in self.predictors.items():
            ensemble = predictor.ensemble
            columns, index = read_text_rows(texts, ensemble.experiment.data)
            check_average(blend.record["average"], tasks, len(index))
            predictions = predictor.predict_means(
                columns, blend.member_tasks(ensemble), blend.fold_average(ensemble)
            )
            member_columns[number] = blend.predictions_by_column(ensemble, predictions)
        predictions = postprocess.apply(tasks, blend.combine(member_columns, len(index)))
        return _prediction_frame(tasks, predictions, index)


def _prediction_frame(
    tasks: TaskSet, predictions: dict[str, np.ndarray], index: pd.Index
) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {}
    for task in tasks:
        columns |= task.to_columns(predictions[task.name])
    return pd.DataFrame(columns, index=index)
