"""The sections of an experiment file: every key with its default, unit and meaning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME)]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """Base of all sections: unknown keys and silent casts are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(Section):
    """``[[data.train]]``: one of several data sets, each with the labels that it has."""

    path: str  # csv, tsv, parquet or jsonl (.gz, .zip)
    name: Name | None = None  # empty: the file's folder, or its stem where folders are equal
    rename: dict[str, str] = {}  # the file's column = its name here; = "": not read

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _renamed_apart(self) -> Source:
        names = [name for name in self.rename.values() if name]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rename gives two columns the name {twice[0]!r}")
        return self


# Tags tell pydantic which of the two was meant, so that its errors are about that one.
TAGS = ("file", "sources")
Sources = Annotated[list[Source], Field(min_length=1)]
TrainFiles = Annotated[
    Annotated[str, Tag("file")] | Annotated[Sources, Tag("sources")],
    Discriminator(lambda given: TAGS[isinstance(given, list | dict)]),
]


class Data(Section):
    """``[data]``: where the rows are and what their columns are called."""

    train: TrainFiles  # csv, tsv, parquet or jsonl (.gz, .zip); or [[data.train]], see Source
    test: str | None = None
    sample_submission: str | None = None
    id: str = "id"  # "": the file has none, its rows are numbered from 0
    text: str | list[str] = "text"  # two names: a text pair
    group: str | None = None  # rows with an equal value stay in one fold
    row_weight: str | None = None  # a column of weights >= 0, for every task
    rows: PositiveInt | None = None  # train on so many rows only, drawn evenly in every label
    test_labels: str | None = None  # released labels of test rows: scores the ensemble by fold

    @property
    def id_column(self) -> str:
        """What the id column is called in what is written."""
        return self.id or "row"

    @property
    def text_columns(self) -> list[str]:
        """The one or two text columns."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def sources(self) -> list[Source]:
        """The training files; one file is a single source."""
        return [Source(path=self.train)] if isinstance(self.train, str) else self.train

    @property
    def source_names(self) -> list[str]:
        """Of every source the name that was given to it, else its folder's or its stem."""
        paths = [Path(source.path) for source in self.sources]
        folders = [path.parent.name for path in paths]
        apart = len(set(folders)) == len(folders) and "" not in folders
        found = folders if apart else [path.name.split(".")[0] for path in paths]
        return [source.name or name for source, name in zip(self.sources, found, strict=True)]

    @property
    def path(self) -> str:
        """Where the training rows are, for a person."""
        return " + ".join(source.path for source in self.sources)

    @model_validator(mode="after")
    def _one_or_two_texts(self) -> Data:
        if not 1 <= len(self.text_columns) <= 2:
            raise ValueError("text takes one column name or a list of two (a pair)")
        return self

    @model_validator(mode="after")
    def _sources_have_names(self) -> Data:
        names = self.source_names
        for name in names if len(names) > 1 else []:
            if names.count(name) > 1:
                raise ValueError(f"two sources of data.train are called {name!r}; give each a name")
            if not re.fullmatch(NAME, name):
                raise ValueError(f"a source of data.train needs a name; {name!r} cannot be one")
        return self


class Folds(Section):
    """``[folds]``: how rows are divided for cross-validation."""

    n_splits: Annotated[int, Field(ge=2)] = 5
    seed: Seed | None = None  # empty: the experiment's seed
    group_duplicates: bool = True  # equal texts (case, space, punctuation apart) share a fold


class LoraAdapter(Section):
    """LoRA (Hu 2021) or DoRA (Liu 2024): low-rank changes of the backbone's linear layers."""

    kind: Literal["lora", "dora"]
    rank: PositiveInt = 8
    alpha: Annotated[float, Field(gt=0.0)] = 16.0  # the change is scaled by alpha / rank
    dropout: Share = 0.0  # before the low-rank layers
    target_modules: list[str] | None = None  # ends of layer names; empty: query and value


class Ia3Adapter(Section):
    """IA3 (Liu 2022): one learned factor per key, value and feed-forward unit."""

    kind: Literal["ia3"]
    target_modules: list[str] | None = None  # empty: key, value and the feed-forward's output


class PrefixAdapter(Section):
    """Prefix tuning (Li and Liang 2021): learned keys and values in front of every layer's own."""

    kind: Literal["prefix"]
    prefix_length: PositiveInt = 20


class BottleneckAdapter(Section):
    """Small residual networks in every layer: after the feed-forward, or after attention too."""

    kind: Literal["pfeiffer", "houlsby"]  # Pfeiffer 2020: one a layer; Houlsby 2019: two
    reduction_factor: PositiveInt = 16  # hidden size / width of the bottleneck
    activation: Literal["relu", "swish", "gelu", "tanh"] | None = None  # relu; Houlsby swish
    dropout: Share = 0.0  # of the adapter's output


AnyAdapter = Annotated[
    LoraAdapter | Ia3Adapter | PrefixAdapter | BottleneckAdapter, Field(discriminator="kind")
]


class Model(Section):
    """``[model]``: the backbone and how its hidden states become one vector per row."""

    backbone: str = "embedded"  # hub name, local folder, or "embedded" (all-MiniLM-L6-v2)
    max_length: Annotated[int, Field(ge=4)] = 220  # tokens, special tokens included
    truncation: Literal["head", "head_tail"] = "head"
    head_share: Share = 0.6  # share of the tokens kept from the start under "head_tail"
    pooling: Literal["mean", "cls", "attention", "pooler"] = "mean"  # "pooler": the backbone's own
    hidden_dropout: Share | None = None  # empty: as the backbone was published
    attention_dropout: Share | None = None
    head_dropout: Share = 0.1
    dropout_samples: PositiveInt = 1  # dropout masks per row before the heads, logits averaged
    both_orders: bool = False  # pairs: trained in random order, predicted in both
    attention: Literal["auto", "eager", "sdpa"] = "auto"  # auto: the faster one for the device
    trust_remote_code: bool = False
    adapter: AnyAdapter | None = None  # [model.adapter]: train it and the heads alone


class TaskSettings(Section):
    """``[[tasks]]``: one head, its columns and its weight in the objective."""

    name: Name
    columns: Annotated[list[str], Field(min_length=1)]
    main: bool = False
    weight: Annotated[float, Field(ge=0.0)] = 1.0
    column_weights: list[Annotated[float, Field(ge=0.0)]] | None = None
    reduction: Literal["mean", "sum"] = "mean"  # over columns; "sum": each counts in full
    row_weight: str | None = None  # a column of weights >= 0, for this task only
    normalize_row_weights: bool = False  # divide by the sum of weights instead of the cell count

    @property
    def prediction_columns(self) -> list[str]:
        """The columns that the head predicts, one per output."""
        return list(self.columns)

    @model_validator(mode="after")
    def _columns_and_weights(self) -> TaskSettings:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        if self.column_weights is not None and len(self.column_weights) != len(self.columns):
            raise ValueError(
                f"column_weights has {len(self.column_weights)} numbers for "
                f"{len(self.columns)} columns"
            )
        return self


class BinarySettings(TaskSettings):
    """One sigmoid per column; labels in [0, 1], hard or soft."""

    kind: Literal["binary"]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0  # moves labels towards 0.5


class MulticlassSettings(TaskSettings):
    """One softmax over the classes of one column."""

    kind: Literal["multiclass"]
    classes: Annotated[list[str], Field(min_length=2)] | Annotated[int, Field(ge=2)]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    @property
    def class_names(self) -> list[str]:
        """The classes by name; ``classes = 3`` stands for ``["0", "1", "2"]``."""
        if isinstance(self.classes, int):
            return [str(number) for number in range(self.classes)]
        return list(self.classes)

    @property
    def prediction_columns(self) -> list[str]:
        """A column per class, ``<column>_<class>``."""
        return [f"{self.columns[0]}_{name}" for name in self.class_names]

    @model_validator(mode="after")
    def _one_column_of_distinct_classes(self) -> MulticlassSettings:
        if len(self.columns) != 1:
            raise ValueError("a multiclass task has one column; make a task of each")
        if len(set(self.class_names)) != len(self.class_names) or "" in self.class_names:
            raise ValueError("classes holds a name twice, or an empty one")
        return self


class RegressionSettings(TaskSettings):
    """One number per column, in its own units."""

    kind: Literal["regression"]
    loss: Literal["mse", "mae", "huber"] = "mse"
    huber_delta: Annotated[float, Field(gt=0.0)] = 1.0  # in deviations where standardised
    standardize: bool = True  # learn (label - mean) / deviation of the fold's training rows


AnyTask = Annotated[
    BinarySettings | MulticlassSettings | RegressionSettings, Field(discriminator="kind")
]


class Train(Section):
    """``[train]``: how one fold is trained."""

    epochs: PositiveInt = 2
    batch_size: PositiveInt = 32  # rows per optimizer step, over all processes
    max_tokens_per_batch: PositiveInt = 8192  # padded tokens of one forward pass
    batches: Literal["mixed", "pure"] = "mixed"  # "pure": a step's rows are of one source
    sampling: Literal["size", "sqrt", "uniform", "temperature"] = "size"  # of sources, per epoch
    temperature: Annotated[float, Field(ge=1.0)] = 2.0  # shares ~ size ** (1 / temperature)
    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-5
    head_learning_rate: Annotated[float, Field(gt=0.0)] | None = None  # empty: learning_rate
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0  # of the rate, layer by layer down
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    warmup: Share = 0.05  # share of all steps
    schedule: Literal["linear", "cosine"] = "linear"
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # decay of averaged weights, 0.99
    max_grad_norm: Annotated[float, Field(ge=0.0)] = 1.0  # 0: no clipping
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    window: PositiveInt = 50  # optimizer steps' worth of shuffled rows that are sorted by length
    evaluations_per_epoch: PositiveInt = 1
    checkpoint_minutes: Annotated[float, Field(gt=0.0)] = 10.0  # how much work a crash can cost
    head_bias_from_rate: bool = True  # start each head's bias at the logit of the label's rate


# Which keys of [balance] a method reads, beside log_every.
_BALANCE_KEYS = {
    "fixed": (),
    "uncertainty": ("learning_rate",),
    "dwa": ("temperature",),
    "gradnorm": ("memory", "alpha", "learning_rate"),
    "famo": ("memory", "learning_rate"),
    "main_first": ("memory",),
    "pcgrad": ("memory",),
    "cagrad": ("memory", "c"),
    "upgrad": ("memory",),
}


class Balance(Section):
    """``[balance]``: how the tasks' weights adapt in training (docs/RECIPES.md)."""

    method: Literal[
        "fixed", "uncertainty", "dwa", "gradnorm", "famo",
        "main_first", "pcgrad", "cagrad", "upgrad",
    ] = "fixed"  # fmt: skip
    log_every: PositiveInt = 20  # optimizer steps between two looks at the tasks' gradients
    memory: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9  # decay of running means over steps
    temperature: Annotated[float, Field(gt=0.0)] = 2.0  # dwa: larger is closer to equal weights
    alpha: Annotated[float, Field(ge=0.0)] = 1.5  # gradnorm: how strongly slow tasks are helped
    c: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5  # cagrad: how far from the mean gradient
    # Of the weights themselves; empty: 0.025, for uncertainty the heads' rate.
    learning_rate: Annotated[float, Field(gt=0.0)] | None = None

    @property
    def rate(self) -> float:
        """The learning rate of gradnorm's and famo's weights."""
        return 0.025 if self.learning_rate is None else self.learning_rate

    @model_validator(mode="after")
    def _keys_of_the_method(self) -> Balance:
        known = {"method", "log_every", *_BALANCE_KEYS[self.method]}
        for name, field in type(self).model_fields.items():
            if name not in known and getattr(self, name) != field.default:
                methods = [m for m, keys in _BALANCE_KEYS.items() if name in keys]
                raise ValueError(
                    f"{name} is not read by method = {self.method!r}, but by {', '.join(methods)}"
                )
        return self


class Selection(Section):
    """``[selection]``: which checkpoint of a fold is kept."""

    metric: str | None = None  # "<task>/<metric>"; empty: the main task's first metric
    early_stopping: Annotated[int, Field(ge=0)] = 0  # evaluations without improvement; 0: off
    keep: Literal["best", "last"] = "best"  # "last": no fold's checkpoint is chosen on its rows


class Inference(Section):
    """``[inference]``: how fold models become one prediction."""

    average: Literal["probability", "logit"] = "probability"
    max_tokens_per_batch: PositiveInt = 16384


class Tracking(Section):
    """``[tracking]``: Weights & Biases."""

    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    project: str | None = None  # empty: the folder of the (first) training file
    log_every: PositiveInt = 20  # optimizer steps per point of the training curves
    upload_model: bool = False  # the fold's model as an artifact; the OOF and folds files always
