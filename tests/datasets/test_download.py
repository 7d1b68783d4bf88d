"""Downloads, with replacements for the clients' functions that take the same arguments."""

from __future__ import annotations

import dataclasses
import gzip
import inspect
import io
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import kagglehub
import pandas as pd
import pytest
import requests
from huggingface_hub import errors as hub_errors
from kagglehub.exceptions import KaggleApiHTTPError, UnauthenticatedError

from auxfold.cli.get_data import download_dataset
from auxfold.data.files import read_columns
from auxfold.datasets import download as module
from auxfold.datasets.download import download
from auxfold.datasets.registry import (
    DATASETS,
    EMOTION_GROUPS,
    EMOTIONS,
    DatasetSpec,
    prepare_emotions,
)
from auxfold.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/get_data.py"
TOXIC = "toxic,severe_toxic,obscene,threat,insult,identity_hate"
TRAIN_2018 = (
    f'id,comment_text,{TOXIC}\n0a,"two\nlines, a ""quote""",1,0,0,0,1,0\n0b,NA,0,0,0,0,0,0\n'
)
# File names as the repositories list them.
EMOTION_FILES = [".gitattributes", "README.md", "raw/train-00000-of-00001.parquet",
                 "simplified/test-00000-of-00001.parquet",
                 "simplified/train-00000-of-00001.parquet",
                 "simplified/validation-00000-of-00001.parquet"]  # fmt: skip
COMMENT_FILES = ["data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet",
                 "data/validation-00000-of-00001.parquet", "data/train-00000-of-00002.parquet",
                 "README.md"]  # fmt: skip
LABELS = ["toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack",
          "sexual_explicit"]  # fmt: skip


def shrink_dataset(name: str, *rows: int) -> DatasetSpec:
    """The data set with other row counts; files without one are left out."""
    dataset = DATASETS[name]
    files = [dataclasses.replace(f, rows=n) for f, n in zip(dataset.files, rows, strict=False)]
    return dataclasses.replace(dataset, files=tuple(files))


def download_files(dataset: DatasetSpec, overwrite: bool = False) -> list[tuple[Path, bool]]:
    return [(path, is_new) for _, path, is_new in download(dataset, Path("input"), overwrite)]


def download_error(dataset: DatasetSpec, overwrite: bool = False) -> str:
    with pytest.raises(InputError) as error:
        download_files(dataset, overwrite)
    return str(error.value)


def downloaded_paths() -> list[str]:
    return sorted(str(p) for p in Path("input").rglob("*"))


def zip_bytes(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_csv", ".csv").replace("macosx_", "__MACOSX/._"), text)
    return packed.getvalue()


class FakeClient:
    """A client that returns contents by name or raises an error, and records its calls."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.calls = cache, []
        self.files: dict[str, bytes | pd.DataFrame] = {}
        self.errors: dict[str, BaseException] = {}
        self.error: BaseException | None = None

    def fetch(self, name: str) -> str:
        if error := self.error or self.errors.get(name):
            raise error
        path = self.cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self.files[name]
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path, index=False)
        else:
            path.write_bytes(content)
        return str(path)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def kaggle(tmp_path, monkeypatch) -> FakeClient:
    client = FakeClient(tmp_path / "kaggle")
    signature = inspect.signature(kagglehub.competition_download)

    def competition_download(*args, **kwargs):
        arguments = signature.bind(*args, **kwargs).arguments
        client.calls.append(arguments)
        return client.fetch(arguments["path"])

    monkeypatch.setattr(kagglehub, "competition_download", competition_download)
    return client


@pytest.fixture
def hub(tmp_path, monkeypatch) -> FakeClient:
    client = FakeClient(tmp_path / "hub")
    list_signature = inspect.signature(huggingface_hub.HfApi.list_repo_files)
    download_signature = inspect.signature(huggingface_hub.hf_hub_download)

    def list_repo_files(*args, **kwargs):
        client.calls.append(list_signature.bind(None, *args, **kwargs).arguments)
        if client.error:
            raise client.error
        return list(client.files)

    def hf_hub_download(*args, **kwargs):
        arguments = download_signature.bind(*args, **kwargs).arguments
        client.calls.append(arguments)
        return client.fetch(arguments["filename"])

    monkeypatch.setattr(huggingface_hub, "list_repo_files", list_repo_files)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    return client


def http_response(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


# Kaggle


def test_files_zipped_one_by_one_are_unpacked(kaggle, capsys):
    kaggle.files = {
        "train.csv.zip": zip_bytes(train_csv=TRAIN_2018, macosx_train_csv="x"),
        "test.csv.zip": zip_bytes(test_csv="id,comment_text\n0c,hello\n"),
        "sample_submission.csv.zip": zip_bytes(s_csv=f"id,{TOXIC}\n0c,0.5,0.5,0.5,0.5,0.5,0.5\n"),
        "test_labels.csv.zip": zip_bytes(l_csv=f"id,{TOXIC}\n0c,-1,-1,-1,-1,-1,-1\n"),
    }
    Path("configs").mkdir()
    Path("configs/jigsaw_2018.toml").touch()
    download_dataset(shrink_dataset("jigsaw-2018", 2, 1, 1, 1), Path("input"), overwrite=False)
    folder = Path("input/jigsaw-toxic-comment-classification-challenge")
    assert (folder / "train.csv").read_text() == TRAIN_2018
    assert read_columns(folder / "train.csv")["comment_text"][0] == 'two\nlines, a "quote"'
    assert downloaded_paths() == [str(folder), *(f"{folder}/{name}.csv" for name in
                            ("sample_submission", "test", "test_labels", "train"))]  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder}/train.csv: 2 rows, 0.0 MB" and len(lines) == 5
    assert lines[4] == "next: auxfold make-folds --config configs/jigsaw_2018.toml"
    assert kaggle.calls[0] == {
        "handle": "jigsaw-toxic-comment-classification-challenge",
        "path": "train.csv.zip",
        "force_download": False,
    }


def test_an_archive_that_the_disk_cannot_hold_is_not_unpacked(kaggle, monkeypatch):
    kaggle.files = {"train.csv.zip": zip_bytes(train_csv="x" * 2_000_000)}
    free = SimpleNamespace(total=10**9, used=10**9, free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(InputError, match=r"train.csv.zip unpacks to 0\.002 GB, .* 0\.001 GB free"):
        download_dataset(shrink_dataset("jigsaw-2018", 2, 1, 1, 1), Path("input"), overwrite=False)
    assert not list(Path("input").rglob("train*"))


def test_a_config_that_does_not_read_the_files_is_not_named(kaggle, capsys):
    kaggle.files = {"train.csv.zip": zip_bytes(train_csv=TRAIN_2018)}
    download_dataset(shrink_dataset("jigsaw-2018", 2), Path("input"), overwrite=False)
    assert "next:" not in capsys.readouterr().out
    Path("configs").mkdir()
    Path("configs/jigsaw_2018.toml").touch()
    download_dataset(shrink_dataset("jigsaw-2018", 2), Path("elsewhere"), overwrite=False)
    assert "next:" not in capsys.readouterr().out


@pytest.mark.parametrize("packed", [False, True])
def test_a_plain_csv_is_taken_as_it_is_also_when_it_came_as_a_zip(kaggle, packed):
    dataset = shrink_dataset("jigsaw-2019", 1)
    text = ",".join(dataset.files[0].columns) + "\n" + ",".join("0" * 45) + "\n"
    kaggle.files = {"train.csv": zip_bytes(train_csv=text) if packed else text.encode()}
    (path, is_new), = download_files(dataset)  # fmt: skip
    assert is_new and path.read_text() == text
    assert path == Path("input/jigsaw-unintended-bias-in-toxicity-classification/train.csv")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnauthenticatedError(), "requires an account and its API token: make one at https://www."),
        (KaggleApiHTTPError("401", response=http_response(401)), "does not accept your API token"),
        (KaggleApiHTTPError("403", response=http_response(403)),
         "accept its rules at https://www.kaggle.com/competitions/"
         "jigsaw-toxic-comment-classification-challenge/rules"),
        (KaggleApiHTTPError("404", response=http_response(404)), "has no train.csv.zip"),
        (KaggleApiHTTPError("503 busy", response=http_response(503)),
         "503 busy); check the connection"),
        (requests.ConnectionError("no route\nto host"), "ConnectionError: no route to host"),
    ],
)  # fmt: skip
def test_what_kaggle_refuses_says_what_to_do_and_leaves_nothing(kaggle, error, expected):
    kaggle.error = error
    assert expected in download_error(shrink_dataset("jigsaw-2018", 2))
    assert downloaded_paths() == []


def test_without_kagglehub_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert "pip install kagglehub" in download_error(shrink_dataset("jigsaw-2018", 2))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (zip_bytes(train_csv=TRAIN_2018), "/train.csv has 2 rows, expected 3; --overwrite"),
        (
            zip_bytes(train_csv="id,comment_text,toxic\n0,a,1\n"),
            "has no column 'severe_toxic'; found",
        ),
        (zip_bytes(train_csv="id,comment_text\n0,a,b\n"), "/train.csv cannot be read"),
        (zip_bytes(train_csv=TRAIN_2018, b_csv=""), "expected one file in it, found 2"),
        (zip_bytes(train_csv=TRAIN_2018).replace(b"two", b"one"), "cannot be made: BadZipFile"),
        (b"", "/train.csv"),
    ],
)
def test_a_wrong_file_gets_no_name_and_replaces_no_good_one(kaggle, content, expected):
    kaggle.files = {"train.csv.zip": content}
    text = download_error(shrink_dataset("jigsaw-2018", 3))
    assert expected in text and "\n" not in text and f".{os.getpid()}." not in text
    assert downloaded_paths() == []
    kaggle.files = {"train.csv.zip": zip_bytes(train_csv=TRAIN_2018 + "0d,x,0,0,0,0,0,0\n")}
    (path, _), = download_files(shrink_dataset("jigsaw-2018", 3))  # fmt: skip
    good = path.read_bytes()
    kaggle.files = {"train.csv.zip": content}
    assert expected in download_error(shrink_dataset("jigsaw-2018", 3), overwrite=True)
    assert path.read_bytes() == good and downloaded_paths()[1:] == [str(path)]


def test_files_that_are_there_are_checked_and_kept(kaggle, capsys):
    kaggle.files = {"train.csv.zip": zip_bytes(train_csv=TRAIN_2018)}
    dataset = shrink_dataset("jigsaw-2018", 2)
    (path, _), = download_files(dataset)  # fmt: skip
    download_dataset(dataset, Path("input"), overwrite=False)
    assert capsys.readouterr().out.endswith("2 rows, 0.0 MB, there already\n")
    assert len(kaggle.calls) == 1
    path.write_text(TRAIN_2018.replace("0b,NA", "0b,mine"))
    assert download_files(dataset) == [(path, False)] and "mine" in path.read_text()
    path.write_text(TRAIN_2018[: TRAIN_2018.index("0b")])
    assert "train.csv has 1 rows, expected 2; --overwrite" in download_error(dataset)
    assert path.exists() and len(kaggle.calls) == 1
    assert download_files(dataset, overwrite=True) == [(path, True)]
    assert path.read_text() == TRAIN_2018 and kaggle.calls[1]["force_download"] is True


# The Hugging Face hub


def emotion_frame(*labels: list[int]) -> pd.DataFrame:
    ids = [f"e{n}" for n in range(len(labels))]
    return pd.DataFrame({"text": [f"text {i}" for i in ids], "labels": list(labels), "id": ids})


def test_emotions_are_written_with_the_groups_of_the_paper(hub):
    hub.files = dict.fromkeys(EMOTION_FILES, b"not read")
    hub.files["simplified/train-00000-of-00001.parquet"] = emotion_frame(
        [27], [2, 25], [5, 26], [14]
    )
    hub.files["simplified/validation-00000-of-00001.parquet"] = emotion_frame([11])
    hub.files["simplified/test-00000-of-00001.parquet"] = emotion_frame([0], [12])
    dataset = shrink_dataset("goemotions", 4, 1, 2)
    paths = [path for path, _ in download_files(dataset)]
    assert [p.name for p in paths] == ["train.parquet", "dev.parquet", "test.parquet"]
    train, dev, test = map(pd.read_parquet, paths)
    assert list(train.columns) == ["id", "text", *EMOTIONS, *EMOTION_GROUPS]
    assert (train.dtypes[2:] == "int8").all()
    assert train["id"].tolist() == ["e0", "e1", "e2", "e3"] and test["text"][1] == "text e1"
    ones = [set(row[row == 1].index) for _, row in pd.concat([train, dev, test]).iterrows()]
    assert ones == [
        {"neutral", "ekman_neutral", "group_neutral"},
        {"anger", "sadness", "ekman_anger", "ekman_sadness", "group_negative"},
        {"caring", "surprise", "ekman_joy", "ekman_surprise", "group_positive", "group_ambiguous"},
        {"fear", "ekman_fear", "group_negative"},
        {"disgust", "ekman_disgust", "group_negative"},
        {"admiration", "ekman_joy", "group_positive"},
        {"embarrassment", "ekman_sadness", "group_negative"},
    ]
    for arguments in hub.calls:
        assert arguments["repo_id"] == "google-research-datasets/go_emotions"
        assert arguments["repo_type"] == "dataset" and arguments["token"] is False
        assert arguments["revision"] == dataset.revision and len(dataset.revision) == 40


def test_every_emotion_has_one_ekman_emotion_and_one_group():
    each = prepare_emotions(emotion_frame(*([n] for n in range(28))))
    for prefix in ("ekman_", "group_"):
        assert (each.filter(like=prefix).sum(axis=1) == 1).all()
    assert each.filter(like="ekman_").sum().tolist() == [3, 1, 2, 12, 1, 5, 4]
    assert each.filter(like="group_").sum().tolist() == [4, 11, 1, 12]


def comment_frame(*texts: str, **columns: list) -> pd.DataFrame:
    frame = pd.DataFrame({"text": list(texts)}).assign(**dict.fromkeys(LABELS, 0.25), **columns)
    return frame.astype(dict.fromkeys(LABELS, "float32"))


def comment_dataset(hub: FakeClient) -> DatasetSpec:
    hub.files = dict.fromkeys(COMMENT_FILES, comment_frame("other"))
    hub.files["data/train-00000-of-00002.parquet"] = comment_frame(*"abcde", extra=range(5))
    hub.files["data/train-00001-of-00002.parquet"] = comment_frame(*"fghijk", extra=range(6))
    return shrink_dataset("civil_comments", 11, 1, 1)


def test_comments_are_numbered_through_all_shards_in_their_order(hub, monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    (path, _), (valid, _), _ = download_files(comment_dataset(hub))
    frame = pd.read_parquet(path)
    assert list(frame.columns) == ["id", "text", *LABELS]
    assert "".join(frame["text"]) == "abcdefghijk"
    assert frame["id"].tolist() == [f"train-{n:02d}" for n in range(11)]
    assert frame["toxicity"].dtype == "float32" and (frame["toxicity"] == 0.25).all()
    assert pd.read_parquet(valid)["id"].tolist() == ["validation-0"]
    assert len(read_columns(path)) == 11


def test_an_interrupted_download_leaves_nothing_half_written(hub):
    dataset = comment_dataset(hub)
    hub.errors["data/train-00001-of-00002.parquet"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        download_files(dataset)
    assert downloaded_paths() == []
    hub.errors = {"data/validation-00000-of-00001.parquet": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        download_files(dataset)
    assert downloaded_paths() == ["input/civil_comments", "input/civil_comments/train.parquet"]
    hub.errors, hub.calls = {}, []
    assert [is_new for _, is_new in download_files(dataset)] == [False, True, True]
    assert not any(a.get("force_download") for a in hub.calls)
    assert not [a for a in hub.calls if "train" in a.get("filename", "")]
    hub.calls = []
    assert [is_new for _, is_new in download_files(dataset, overwrite=True)] == [True, True, True]
    assert [a["force_download"] for a in hub.calls if "filename" in a] == [True] * 4
    path = Path("input/civil_comments/train.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    assert download_error(dataset).startswith(f"{path}: ArrowInvalid")


def test_a_repository_with_other_contents_is_refused(hub):
    dataset = comment_dataset(hub)
    hub.files["data/train-00001-of-00002.parquet"] = comment_frame(*"fghij")
    assert "train.parquet has 10 rows, expected 11" in download_error(dataset)
    hub.files["data/train-00001-of-00002.parquet"] = comment_frame("f").drop(columns="threat")
    assert "no column 'threat' for train.parquet" in download_error(dataset)
    hub.files["data/train-00001-of-00002.parquet"] = b"no parquet"
    assert "train.parquet cannot be made" in download_error(dataset)
    hub.files = {"README.md": b""}
    assert "has no file data/train-*.parquet" in download_error(dataset)
    assert downloaded_paths() == []


def pair_files(**scores: list[float]) -> dict[str, bytes]:
    def lines(values: list[float]) -> bytes:
        rows = [{"split": "x", "sid": "0001", "score": s, "sentence1": f'{n}, "NA"',
                 "sentence2": "007"} for n, s in enumerate(values)]  # fmt: skip
        return gzip.compress("\n".join(map(json.dumps, rows)).encode())

    return {f"{split}.jsonl.gz": lines(values) for split, values in scores.items()}


def test_sentence_pairs_keep_their_texts_and_scores(hub):
    hub.files = pair_files(train=[0.0, 0.071, 5.0], validation=[1.333, 5.0], test=[4.4])
    paths = [path for path, _ in download_files(shrink_dataset("stsb", 3, 2, 1))]
    assert [p.name for p in paths] == ["train.csv", "dev.csv", "test.csv"]
    train, dev, test = map(read_columns, paths)
    assert list(train.columns) == ["id", "sentence1", "sentence2", "score"]
    assert train["score"].tolist() == ["0.0", "0.071", "5.0"] and dev["score"][0] == "1.333"
    assert train["sentence1"][2] == '2, "NA"' and test["sentence2"][0] == "007"
    assert [*train["id"], *dev["id"], *test["id"]] == [
        "train-0", "train-1", "train-2", "dev-0", "dev-1", "test-0"
    ]  # fmt: skip


@pytest.mark.parametrize("scores", [[0.0, 1.0], [0.0, 5.2], [-1.0, 5.0]])
def test_scores_on_another_scale_are_refused(hub, scores):
    hub.files = pair_files(train=scores)
    assert "expected 0 to 5" in download_error(shrink_dataset("stsb", 2))
    assert downloaded_paths() == []


def hub_error(kind: type, status: int) -> Exception:
    return kind("what the\nhub says", response=SimpleNamespace(
        headers={}, request=None, status_code=status))  # fmt: skip


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (hub_errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set"),
        (hub_error(hub_errors.GatedRepoError, 403), "requires an account"),
        (
            hub_error(hub_errors.RepositoryNotFoundError, 401),
            "the data set is not there (commit b0f",
        ),
        (hub_error(hub_errors.RevisionNotFoundError, 404), "is not there (commit b0fddb5"),
        (
            hub_error(hub_errors.HfHubHTTPError, 503),
            "HfHubHTTPError: what the hub says); check the",
        ),
        (TimeoutError("read timed out"), "read timed out); check the connection"),
    ],
)
def test_what_the_hub_refuses_says_what_to_do(hub, error, expected):
    hub.files, hub.error = pair_files(train=[5.0]), error
    text = download_error(shrink_dataset("stsb", 1))
    assert expected in text and "https://huggingface.co/datasets/mteb/stsbenchmark-sts" in text
    assert downloaded_paths() == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (hub_error(hub_errors.RemoteEntryNotFoundError, 404), "train.jsonl.gz is not there"),
        (hub_errors.LocalEntryNotFoundError("no connection"), "no connection); check the"),
    ],
)
def test_what_is_missing_is_told_from_what_cannot_be_reached(hub, error, expected):
    hub.files, hub.errors = pair_files(train=[5.0]), {"train.jsonl.gz": error}
    assert expected in download_error(shrink_dataset("stsb", 1))


# The script, with the real clients


def command_error(*args: str, **environment: str) -> str:
    """The one line of its error."""
    variables = {k: v for k, v in os.environ.items() if "KAGGLE" not in k}
    process = subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True,
                          env={**variables, **environment}, timeout=120)  # fmt: skip
    assert process.returncode == 2, (process.stdout, process.stderr)
    message = process.stderr.splitlines()[-1]
    assert message.startswith("error: ") and "Traceback" not in process.stderr, process.stderr
    return message


def test_the_real_clients_without_credentials_and_offline(tmp_path):
    text = command_error("jigsaw-2018", HOME=str(tmp_path))
    assert "https://www.kaggle.com/settings/api" in text and "KAGGLE_API_TOKEN" in text
    assert "HF_HUB_OFFLINE is set" in command_error("stsb", HF_HUB_OFFLINE="1")


def test_unknown_names_are_refused_before_anything_is_downloaded():
    text = command_error("stsb", "jigsaw_2018", HF_HUB_OFFLINE="1")
    assert "no data set 'jigsaw_2018' (did you mean 'jigsaw-2018'?); known are jigsaw-2019," in text


@pytest.mark.parametrize("name", [n for n, s in DATASETS.items() if s.config])
def test_the_shipped_configs_read_what_is_downloaded(name):
    dataset = DATASETS[name]
    if not (ROOT / dataset.config).is_file():
        pytest.skip(f"no {dataset.config}")
    config = tomllib.loads((ROOT / dataset.config).read_text())
    columns = {f"input/{dataset.folder}/{file.name}": set(file.columns) for file in dataset.files}
    data = config["data"]
    texts = [data["text"]] if isinstance(data["text"], str) else data["text"]
    labels = [column for task in config["tasks"] for column in task["columns"]]
    assert columns[data["train"]] >= {data["id"], *texts, *labels}
    if "test" in data:
        assert columns[data["test"]] >= {data["id"], *texts}
    if "sample_submission" in data:
        assert data["id"] in columns[data["sample_submission"]]
