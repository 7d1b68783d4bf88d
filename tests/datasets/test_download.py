"""Downloads, with stand-ins for the clients' functions that take what the real ones take."""

from __future__ import annotations

import dataclasses
import gzip
import importlib.util
import inspect
import io
import json
import os
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

from auxfold.data import download as module
from auxfold.data.files import read_columns
from auxfold.datasets.download import download
from auxfold.datasets.sources import EMOTION_GROUPS, EMOTIONS, SOURCES, Source, emotion_rows
from auxfold.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/get_data.py"
TOXIC = "toxic,severe_toxic,obscene,threat,insult,identity_hate"
TRAIN_2018 = (
    f'id,comment_text,{TOXIC}\n0a,"two\nlines, a ""quote""",1,0,0,0,1,0\n0b,NA,0,0,0,0,0,0\n'
)
# As the repositories list them.
EMOTION_FILES = [".gitattributes", "README.md", "raw/train-00000-of-00001.parquet",
                 "simplified/test-00000-of-00001.parquet",
                 "simplified/train-00000-of-00001.parquet",
                 "simplified/validation-00000-of-00001.parquet"]  # fmt: skip
COMMENT_FILES = ["data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet",
                 "data/validation-00000-of-00001.parquet", "data/train-00000-of-00002.parquet",
                 "README.md"]  # fmt: skip
LABELS = ["toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack",
          "sexual_explicit"]  # fmt: skip


def small(name: str, *rows: int) -> Source:
    """The source with other row counts; files without one are left out."""
    source = SOURCES[name]
    files = [dataclasses.replace(f, rows=n) for f, n in zip(source.files, rows, strict=False)]
    return dataclasses.replace(source, files=tuple(files))


def get(source: Source, overwrite: bool = False) -> list[tuple[Path, bool]]:
    return [(path, new) for _, path, new in download(source, Path("input"), overwrite)]


def refused(source: Source, overwrite: bool = False) -> str:
    with pytest.raises(InputError) as error:
        get(source, overwrite)
    return str(error.value)


def everything() -> list[str]:
    return sorted(str(p) for p in Path("input").rglob("*"))


def zipped(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_csv", ".csv").replace("macosx_", "__MACOSX/._"), text)
    return packed.getvalue()


class Stand:
    """What a client would give: contents by name, or an error to raise. It keeps what was asked."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.asked = cache, []
        self.files: dict[str, bytes | pd.DataFrame] = {}
        self.errors: dict[str, BaseException] = {}
        self.error: BaseException | None = None

    def give(self, name: str) -> str:
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
def empty_place(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def kaggle(tmp_path, monkeypatch) -> Stand:
    stand = Stand(tmp_path / "kaggle")
    real = inspect.signature(kagglehub.competition_download)

    def competition_download(*args, **kwargs):
        given = real.bind(*args, **kwargs).arguments
        stand.asked.append(given)
        return stand.give(given["path"])

    monkeypatch.setattr(kagglehub, "competition_download", competition_download)
    return stand


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Stand:
    stand = Stand(tmp_path / "hub")
    listing = inspect.signature(huggingface_hub.HfApi.list_repo_files)
    getting = inspect.signature(huggingface_hub.hf_hub_download)

    def list_repo_files(*args, **kwargs):
        stand.asked.append(listing.bind(None, *args, **kwargs).arguments)
        if stand.error:
            raise stand.error
        return list(stand.files)

    def hf_hub_download(*args, **kwargs):
        given = getting.bind(*args, **kwargs).arguments
        stand.asked.append(given)
        return stand.give(given["filename"])

    monkeypatch.setattr(huggingface_hub, "list_repo_files", list_repo_files)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    return stand


def answer(status: int) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    return response


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("get_data", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


# Kaggle


def test_files_zipped_one_by_one_are_unpacked(kaggle, script, capsys):
    kaggle.files = {
        "train.csv.zip": zipped(train_csv=TRAIN_2018, macosx_train_csv="x"),
        "test.csv.zip": zipped(test_csv="id,comment_text\n0c,hello\n"),
        "sample_submission.csv.zip": zipped(s_csv=f"id,{TOXIC}\n0c,0.5,0.5,0.5,0.5,0.5,0.5\n"),
        "test_labels.csv.zip": zipped(l_csv=f"id,{TOXIC}\n0c,-1,-1,-1,-1,-1,-1\n"),
    }
    Path("configs").mkdir()
    Path("configs/jigsaw_2018.toml").touch()
    script.get(small("jigsaw-2018", 2, 1, 1, 1), Path("input"), overwrite=False)
    folder = Path("input/jigsaw-toxic-comment-classification-challenge")
    assert (folder / "train.csv").read_text() == TRAIN_2018
    assert read_columns(folder / "train.csv")["comment_text"][0] == 'two\nlines, a "quote"'
    assert everything() == [str(folder), *(f"{folder}/{name}.csv" for name in
                            ("sample_submission", "test", "test_labels", "train"))]  # fmt: skip
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{folder}/train.csv: 2 rows, 0.0 MB" and len(told) == 5
    assert told[4] == "next: python scripts/make_folds.py --config configs/jigsaw_2018.toml"
    assert kaggle.asked[0] == {
        "handle": "jigsaw-toxic-comment-classification-challenge",
        "path": "train.csv.zip",
        "force_download": False,
    }


def test_a_config_that_does_not_read_the_files_is_not_named(kaggle, script, capsys):
    kaggle.files = {"train.csv.zip": zipped(train_csv=TRAIN_2018)}
    script.get(small("jigsaw-2018", 2), Path("input"), overwrite=False)
    assert "next:" not in capsys.readouterr().out
    Path("configs").mkdir()
    Path("configs/jigsaw_2018.toml").touch()
    script.get(small("jigsaw-2018", 2), Path("elsewhere"), overwrite=False)
    assert "next:" not in capsys.readouterr().out


@pytest.mark.parametrize("packed", [False, True])
def test_a_plain_csv_is_taken_as_it_is_also_when_it_came_as_a_zip(kaggle, packed):
    source = small("jigsaw-2019", 1)
    text = ",".join(source.files[0].columns) + "\n" + ",".join("0" * 45) + "\n"
    kaggle.files = {"train.csv": zipped(train_csv=text) if packed else text.encode()}
    (path, new), = get(source)  # fmt: skip
    assert new and path.read_text() == text
    assert path == Path("input/jigsaw-unintended-bias-in-toxicity-classification/train.csv")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnauthenticatedError(), "wants an account and its API token: make one at https://www."),
        (KaggleApiHTTPError("401", response=answer(401)), "does not accept your API token"),
        (KaggleApiHTTPError("403", response=answer(403)),
         "accept its rules at https://www.kaggle.com/competitions/"
         "jigsaw-toxic-comment-classification-challenge/rules"),
        (KaggleApiHTTPError("404", response=answer(404)), "has no train.csv.zip"),
        (KaggleApiHTTPError("503 busy", response=answer(503)), "503 busy); check the connection"),
        (requests.ConnectionError("no route\nto host"), "ConnectionError: no route to host"),
    ],
)  # fmt: skip
def test_what_kaggle_refuses_says_what_to_do_and_leaves_nothing(kaggle, error, expected):
    kaggle.error = error
    assert expected in refused(small("jigsaw-2018", 2))
    assert everything() == []


def test_without_kagglehub_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert "pip install kagglehub" in refused(small("jigsaw-2018", 2))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (zipped(train_csv=TRAIN_2018), "/train.csv has 2 rows, expected 3; --overwrite"),
        (zipped(train_csv="id,comment_text,toxic\n0,a,1\n"), "has no column 'severe_toxic'; found"),
        (zipped(train_csv="id,comment_text\n0,a,b\n"), "/train.csv cannot be read"),
        (zipped(train_csv=TRAIN_2018, b_csv=""), "expected one file in it, found 2"),
        (zipped(train_csv=TRAIN_2018).replace(b"two", b"one"), "cannot be made: BadZipFile"),
        (b"", "/train.csv"),
    ],
)
def test_a_wrong_file_gets_no_name_and_replaces_no_good_one(kaggle, content, expected):
    kaggle.files = {"train.csv.zip": content}
    text = refused(small("jigsaw-2018", 3))
    assert expected in text and "\n" not in text and f".{os.getpid()}." not in text
    assert everything() == []
    kaggle.files = {"train.csv.zip": zipped(train_csv=TRAIN_2018 + "0d,x,0,0,0,0,0,0\n")}
    (path, _), = get(small("jigsaw-2018", 3))  # fmt: skip
    good = path.read_bytes()
    kaggle.files = {"train.csv.zip": content}
    assert expected in refused(small("jigsaw-2018", 3), overwrite=True)
    assert path.read_bytes() == good and everything()[1:] == [str(path)]


def test_files_that_are_there_are_checked_and_kept(kaggle, script, capsys):
    kaggle.files = {"train.csv.zip": zipped(train_csv=TRAIN_2018)}
    source = small("jigsaw-2018", 2)
    (path, new), = get(source)  # fmt: skip
    script.get(source, Path("input"), overwrite=False)
    assert capsys.readouterr().out.endswith("2 rows, 0.0 MB, there already\n")
    assert len(kaggle.asked) == 1
    path.write_text(TRAIN_2018.replace("0b,NA", "0b,mine"))
    assert get(source) == [(path, False)] and "mine" in path.read_text()
    path.write_text(TRAIN_2018[: TRAIN_2018.index("0b")])
    assert "train.csv has 1 rows, expected 2; --overwrite" in refused(source)
    assert path.exists() and len(kaggle.asked) == 1
    assert get(source, overwrite=True) == [(path, True)]
    assert path.read_text() == TRAIN_2018 and kaggle.asked[1]["force_download"] is True


# The Hugging Face hub


def emotions_of(*labels: list[int]) -> pd.DataFrame:
    ids = [f"e{n}" for n in range(len(labels))]
    return pd.DataFrame({"text": [f"text {i}" for i in ids], "labels": list(labels), "id": ids})


def test_emotions_are_written_with_the_groups_of_the_paper(hub):
    hub.files = dict.fromkeys(EMOTION_FILES, b"not read")
    hub.files["simplified/train-00000-of-00001.parquet"] = emotions_of([27], [2, 25], [5, 26], [14])
    hub.files["simplified/validation-00000-of-00001.parquet"] = emotions_of([11])
    hub.files["simplified/test-00000-of-00001.parquet"] = emotions_of([0], [12])
    source = small("goemotions", 4, 1, 2)
    paths = [path for path, _ in get(source)]
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
    for given in hub.asked:
        assert given["repo_id"] == "google-research-datasets/go_emotions"
        assert given["repo_type"] == "dataset" and given["token"] is False
        assert given["revision"] == source.revision and len(source.revision) == 40


def test_every_emotion_has_one_ekman_emotion_and_one_group():
    each = emotion_rows(emotions_of(*([n] for n in range(28))))
    for prefix in ("ekman_", "group_"):
        assert (each.filter(like=prefix).sum(axis=1) == 1).all()
    assert each.filter(like="ekman_").sum().tolist() == [3, 1, 2, 12, 1, 5, 4]
    assert each.filter(like="group_").sum().tolist() == [4, 11, 1, 12]


def comments_of(*texts: str, **columns: list) -> pd.DataFrame:
    frame = pd.DataFrame({"text": list(texts)}).assign(**dict.fromkeys(LABELS, 0.25), **columns)
    return frame.astype(dict.fromkeys(LABELS, "float32"))


def comments(hub: Stand) -> Source:
    hub.files = dict.fromkeys(COMMENT_FILES, comments_of("other"))
    hub.files["data/train-00000-of-00002.parquet"] = comments_of(*"abcde", extra=range(5))
    hub.files["data/train-00001-of-00002.parquet"] = comments_of(*"fghijk", extra=range(6))
    return small("civil_comments", 11, 1, 1)


def test_comments_are_numbered_through_all_shards_in_their_order(hub, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    (path, _), (valid, _), _ = get(comments(hub))
    frame = pd.read_parquet(path)
    assert list(frame.columns) == ["id", "text", *LABELS]
    assert "".join(frame["text"]) == "abcdefghijk"
    assert frame["id"].tolist() == [f"train-{n:02d}" for n in range(11)]
    assert frame["toxicity"].dtype == "float32" and (frame["toxicity"] == 0.25).all()
    assert pd.read_parquet(valid)["id"].tolist() == ["validation-0"]
    assert len(read_columns(path)) == 11


def test_an_interrupted_download_leaves_nothing_half_written(hub):
    source = comments(hub)
    hub.errors["data/train-00001-of-00002.parquet"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        get(source)
    assert everything() == []
    hub.errors = {"data/validation-00000-of-00001.parquet": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        get(source)
    assert everything() == ["input/civil_comments", "input/civil_comments/train.parquet"]
    hub.errors, hub.asked = {}, []
    assert [new for _, new in get(source)] == [False, True, True]
    assert not any(a.get("force_download") for a in hub.asked)
    assert not [a for a in hub.asked if "train" in a.get("filename", "")]
    hub.asked = []
    assert [new for _, new in get(source, overwrite=True)] == [True, True, True]
    assert [a["force_download"] for a in hub.asked if "filename" in a] == [True] * 4
    path = Path("input/civil_comments/train.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    assert refused(source).startswith(f"{path}: ArrowInvalid")


def test_a_repository_with_other_contents_is_refused(hub):
    source = comments(hub)
    hub.files["data/train-00001-of-00002.parquet"] = comments_of(*"fghij")
    assert "train.parquet has 10 rows, expected 11" in refused(source)
    hub.files["data/train-00001-of-00002.parquet"] = comments_of("f").drop(columns="threat")
    assert "no column 'threat' for train.parquet" in refused(source)
    hub.files["data/train-00001-of-00002.parquet"] = b"no parquet"
    assert "train.parquet cannot be made" in refused(source)
    hub.files = {"README.md": b""}
    assert "has no file data/train-*.parquet" in refused(source)
    assert everything() == []


def pairs(**scores: list[float]) -> dict[str, bytes]:
    def lines(values: list[float]) -> bytes:
        rows = [{"split": "x", "sid": "0001", "score": s, "sentence1": f'{n}, "NA"',
                 "sentence2": "007"} for n, s in enumerate(values)]  # fmt: skip
        return gzip.compress("\n".join(map(json.dumps, rows)).encode())

    return {f"{split}.jsonl.gz": lines(values) for split, values in scores.items()}


def test_sentence_pairs_keep_their_texts_and_scores(hub):
    hub.files = pairs(train=[0.0, 0.071, 5.0], validation=[1.333, 5.0], test=[4.4])
    paths = [path for path, _ in get(small("stsb", 3, 2, 1))]
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
    hub.files = pairs(train=scores)
    assert "expected 0 to 5" in refused(small("stsb", 2))
    assert everything() == []


def of_hub(kind: type, status: int) -> Exception:
    return kind("what the\nhub says", response=SimpleNamespace(
        headers={}, request=None, status_code=status))  # fmt: skip


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (hub_errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set"),
        (of_hub(hub_errors.GatedRepoError, 403), "wants an account"),
        (of_hub(hub_errors.RepositoryNotFoundError, 401), "the data set is not there (commit b0f"),
        (of_hub(hub_errors.RevisionNotFoundError, 404), "is not there (commit b0fddb5"),
        (of_hub(hub_errors.HfHubHTTPError, 503), "HfHubHTTPError: what the hub says); check the"),
        (TimeoutError("read timed out"), "read timed out); check the connection"),
    ],
)
def test_what_the_hub_refuses_says_what_to_do(hub, error, expected):
    hub.files, hub.error = pairs(train=[5.0]), error
    text = refused(small("stsb", 1))
    assert expected in text and "https://huggingface.co/datasets/mteb/stsbenchmark-sts" in text
    assert everything() == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (of_hub(hub_errors.RemoteEntryNotFoundError, 404), "train.jsonl.gz is not there"),
        (hub_errors.LocalEntryNotFoundError("no connection"), "no connection); check the"),
    ],
)
def test_what_is_missing_is_told_from_what_cannot_be_reached(hub, error, expected):
    hub.files, hub.errors = pairs(train=[5.0]), {"train.jsonl.gz": error}
    assert expected in refused(small("stsb", 1))


# The script, with the real clients


def run(*arguments: str, **environment: str) -> str:
    """The one line of its error."""
    kept = {k: v for k, v in os.environ.items() if "KAGGLE" not in k}
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True,
                          env={**kept, **environment}, timeout=120)  # fmt: skip
    assert done.returncode == 2, (done.stdout, done.stderr)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "Traceback" not in done.stderr, done.stderr
    return last


def test_the_real_clients_without_credentials_and_offline(tmp_path):
    text = run("jigsaw-2018", HOME=str(tmp_path))
    assert "https://www.kaggle.com/settings/api" in text and "KAGGLE_API_TOKEN" in text
    assert "HF_HUB_OFFLINE is set" in run("stsb", HF_HUB_OFFLINE="1")


def test_unknown_names_are_refused_before_anything_is_downloaded():
    text = run("stsb", "jigsaw_2018", HF_HUB_OFFLINE="1")
    assert "no data set 'jigsaw_2018' (did you mean 'jigsaw-2018'?); known are jigsaw-2019," in text


@pytest.mark.parametrize("name", [n for n, s in SOURCES.items() if s.config])
def test_the_shipped_configs_read_what_is_downloaded(name):
    source = SOURCES[name]
    if not (ROOT / source.config).is_file():
        pytest.skip(f"no {source.config}")
    config = tomllib.loads((ROOT / source.config).read_text())
    columns = {f"input/{source.folder}/{file.name}": set(file.columns) for file in source.files}
    data = config["data"]
    texts = [data["text"]] if isinstance(data["text"], str) else data["text"]
    labels = [column for task in config["tasks"] for column in task["columns"]]
    assert columns[data["train"]] >= {data["id"], *texts, *labels}
    if "test" in data:
        assert columns[data["test"]] >= {data["id"], *texts}
    if "sample_submission" in data:
        assert data["id"] in columns[data["sample_submission"]]
