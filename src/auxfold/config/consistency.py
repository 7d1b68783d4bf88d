"""What must fit together between the sections of an experiment; each check raises ValueError."""

from __future__ import annotations

from collections.abc import Sequence

from auxfold.config.binary_settings import BinarySettings
from auxfold.config.data import Data
from auxfold.config.folds import DATA_SPLIT, Folds
from auxfold.config.from_test import LabeledExamples
from auxfold.config.identities import BIAS, Identities
from auxfold.config.model import Model
from auxfold.config.sample_weights import BY_IDENTITY, SampleWeights
from auxfold.config.tags_settings import TagsSettings
from auxfold.config.task_settings import is_annotation
from auxfold.config.tasks import AnyTask
from auxfold.config.training import Selection, Train
from auxfold.errors import nearest


def check_tasks(data: Data, model: Model, tasks: Sequence[AnyTask]) -> None:
    """Names and predicted columns are distinct, one task is the main one, pairs are pairs."""
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise ValueError("two tasks have the same name")
    columns = [
        c
        for task in tasks
        for c in {*task.file_columns, *task.label_columns, *task.targets, *task.prediction_columns}
    ]
    columns.append(data.id_column)
    duplicates = sorted({c for c in columns if columns.count(c) > 1})
    if duplicates:
        raise ValueError(f"column {duplicates[0]!r} is predicted by two tasks, or is the id too")
    reserved = [column for column in columns if is_annotation(column)]
    if reserved:
        raise ValueError(
            f"the column {reserved[0]!r} has a name that out-of-fold files use ('fold', and "
            f"'<column>__label'); rename it in the file, or by rename in [[data.train]]"
        )
    if model.symmetric_pairs and not data.is_pair:
        raise ValueError("model.symmetric_pairs is for text pairs: data.text with two columns")
    if model.truncation == "windows" and data.is_pair:
        raise ValueError(
            "model.truncation = 'windows' is for one text; of a pair, name both columns in "
            "data.template and give the shorter one a number of tokens in data.fields"
        )
    n_main = sum(task.main for task in tasks)
    if n_main != 1 and len(tasks) > 1:
        raise ValueError(f"exactly one task needs main = true, found {n_main}")


def check_group_sizes(data: Data, tasks: Sequence[AnyTask]) -> None:
    """``data.group_sizes`` agrees with the classes of the tasks."""
    n_classes = [len(task.class_names or ()) for task in tasks]
    if data.group_sizes is not None and n_classes != data.group_sizes:
        raise ValueError(
            f"data.group_sizes = {data.group_sizes}, but the tasks have {n_classes} classes; leave "
            f"out [[tasks]] (they are made from group_sizes), or group_sizes"
        )


def check_from_test(data: Data, tasks: Sequence[AnyTask]) -> None:
    """Labeled examples of the test file have a file, every text and a label."""
    if data.from_test and data.test is None:
        raise ValueError("data.from_test takes examples of data.test, which is not set")
    for number, examples in enumerate(data.from_test):
        where = f"data.from_test.{number}"
        _check_example_texts(examples, data, where)
        _check_example_labels(examples, tasks, where)
        _check_example_tags(examples, tasks, where)


def _check_example_texts(examples: LabeledExamples, data: Data, where: str) -> None:
    texts = data.text_columns
    if not any(examples.columns.get(name) for name in texts):
        raise ValueError(
            f"{where}.columns has no text; name the column of the test file that is read as "
            f"{' or '.join(map(repr, texts))}"
        )
    for name in texts:
        if name not in (*examples.columns, *examples.keep):
            raise ValueError(
                f"{where} lacks the text {name!r}; name it in keep (the cell of the test row), or "
                f'in columns (the cell of another column, or "" for an empty text)'
            )
    for column in (data.id, data.split, data.group):
        if column and column in (*examples.columns, *examples.keep):
            raise ValueError(f"{where} names {column!r}, which is not read from examples")


def _check_example_labels(examples: LabeledExamples, tasks: Sequence[AnyTask], where: str) -> None:
    columns = [column for task in tasks for column in task.file_columns]
    for name in examples.labels:
        if name not in columns:
            raise ValueError(
                f"{where}.labels has {name!r}{nearest(name, columns)}, which is no label column; "
                f"label columns are {', '.join(columns)}"
            )
    if not {*examples.labels, *examples.columns, *examples.keep} & set(columns):
        raise ValueError(f"{where} has no label, such as labels = {{ {columns[0]} = 1 }}")
    for task in (task for task in tasks if isinstance(task, BinarySettings)):
        for name in task.file_columns:
            word, value = task.positive_word(name), examples.labels.get(name)
            if word is not None and isinstance(value, float):
                raise ValueError(
                    f"{where}.labels has {name} = {value:g}, but the labels of tasks.{task.name} "
                    f"are words, and {word!r} means 1; give a word"
                )


def _check_example_tags(examples: LabeledExamples, tasks: Sequence[AnyTask], where: str) -> None:
    named = {*examples.labels, *examples.columns, *examples.keep}
    for task in (task for task in tasks if isinstance(task, TagsSettings)):
        column = task.columns[0]
        if task.empty == "no_tags" and column not in named:
            raise ValueError(
                f"{where} lacks {column!r}, the column of tasks.{task.name}, where an empty cell "
                f"means no tags; name it in labels, or set empty = 'unlabeled'"
            )


def check_sources(data: Data, folds: Folds, train: Train) -> None:
    """What is for several sources has several, and what is for one file has one."""
    choices = {"batches": train.batches, "sampling": train.sampling}
    for key, value in choices.items():
        if value not in ("mixed", "size") and len(data.sources) == 1:
            raise ValueError(f"train.{key} = {value!r} is for several [[data.train]]; there is one")
    if data.split is None and folds.validation == DATA_SPLIT:
        raise ValueError(f"folds.validation = {DATA_SPLIT!r} needs data.split, a column")
    if data.split is not None and folds.validation_file:
        raise ValueError(
            f"data.split marks the rows to validate on, and folds.validation is a file with "
            f"others; leave out one of them, or set folds.validation = {DATA_SPLIT!r}"
        )
    if folds.validation_file and not isinstance(data.train, str):
        raise ValueError(
            "folds.validation is a file, which goes with one data.train; of several "
            "[[data.train]] it takes a share or a number of rows"
        )


def check_soup(model: Model) -> None:
    """The weights of folds have a mean.

    A module that every fold starts from other random numbers, and that has a nonlinearity inside,
    does not have units that correspond to each other. Heads are linear, and may start anywhere.
    LoRA, DoRA and IA3 become part of the backbone's weights before.
    """
    reason = ""
    if model.pooling == "attention":
        reason = "model.pooling = 'attention'"
    elif model.adapter is not None and model.adapter.kind not in ("lora", "dora", "ia3"):
        reason = f"model.adapter.kind = {model.adapter.kind!r}"
    if reason:
        raise ValueError(
            f"inference.average = 'soup' averages the weights of the folds, but with {reason} each "
            f"of them starts from other random weights; take 'probability' or 'logit'"
        )


def check_evaluations(train: Train, selection: Selection) -> None:
    """An average of weights has at least two evaluations to average."""
    if selection.keep == "average" and train.epochs * train.evaluations_per_epoch < 2:
        raise ValueError(
            "selection.keep = 'average' needs two evaluations or more; raise "
            "train.evaluations_per_epoch or train.epochs"
        )


def check_negative_sampling(train: Train, tasks: Sequence[AnyTask]) -> None:
    """Fewer negatives need binary labels, and sources at their own size."""
    if train.negative_sample_rate == 1.0:
        return
    if "binary" not in (task.kind for task in tasks):
        raise ValueError("train.negative_sample_rate < 1 needs a task of kind 'binary'")
    if train.sampling != "size":
        raise ValueError(
            f"train.negative_sample_rate < 1 goes with train.sampling = 'size', not with "
            f"{train.sampling!r}, which decides how often a row comes in another way"
        )


def check_identities(
    identities: Identities,
    sample_weights: SampleWeights,
    tasks: Sequence[AnyTask],
    main_task: AnyTask,
    selection: Selection,
) -> None:
    """What needs identity columns has them, and they have a binary main task."""
    if identities.columns and main_task.kind != "binary":
        raise ValueError("identities.columns need a main task of kind 'binary'")
    if identities.columns and BIAS in (task.name for task in tasks):
        raise ValueError(f"a task is called {BIAS!r} as the metrics of identities.columns are")
    metric = selection.metric or ""
    users = [f"sample_weights.scheme = {n!r}" for n in sample_weights.scheme if n in BY_IDENTITY]
    users += [
        f"tasks.{task.name}.loss = 'metric_shaped'"
        for task in tasks
        if getattr(task, "loss", None) == "metric_shaped"
    ]
    users += [f"selection.metric = {metric!r}"] if metric.startswith(f"{BIAS}/") else []
    if users and not identities.columns:
        raise ValueError(f"{users[0]} needs identities.columns, which are empty")
    known = identities.metrics
    if metric.startswith(f"{BIAS}/") and metric not in known:
        raise ValueError(
            f"selection.metric = {metric!r} is unknown{nearest(metric, known)}; "
            f"known: {', '.join(known[:5])}, and of each identity"
        )
