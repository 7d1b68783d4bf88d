"""Download the files of a data set, convert them to the columns that are read, and check them.

``kagglehub`` downloads files from Kaggle and ``huggingface_hub`` all others. Both cache what they
download. A file gets its name only after it has passed the check, so every file in ``input/`` is
complete.
"""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import huggingface_hub
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import errors as hub_errors

from auxfold.data.files import UNREADABLE, read_columns, read_header, summarize_error
from auxfold.datasets.registry import DatasetFile, DatasetSpec, HubDataset, KaggleDataset
from auxfold.errors import InputError
from auxfold.storage.atomic import atomic_write

T = TypeVar("T")

BATCH_ROWS = 100_000  # rows of a parquet file in memory at once
OVERWRITE_ADVICE = "--overwrite downloads it again"
TOKEN_ADVICE = (
    "make one at https://www.kaggle.com/settings/api and put it into KAGGLE_API_TOKEN or the file "
    "~/.kaggle/access_token (an older ~/.kaggle/kaggle.json works, too)"
)


def download(
    dataset: DatasetSpec, output: Path, overwrite: bool = False
) -> Iterator[tuple[DatasetFile, Path, bool]]:
    """Bring every file of a data set below ``output``.

    A file that exists already is checked and kept, unless ``overwrite``.

    Args:
        dataset: the data set.
        output: the folder that gets the data set's folder.
        overwrite: whether to download existing files again.

    Yields:
        The file, its path, and whether it is new.

    Raises:
        InputError: no credentials, rules not accepted, no such file or no connection; a column is
            missing or the number of rows is wrong, also in a file that existed already.
    """
    for file in dataset.files:
        path = output / dataset.folder / file.name
        is_new = overwrite or not path.exists()
        if is_new:
            _download_file(dataset, file, path, overwrite)
        else:
            check_file(path, file)
        yield file, path, is_new


def _download_file(
    dataset: DatasetSpec, file: DatasetFile, path: Path, force_download: bool
) -> None:
    def write(temporary: Path) -> None:
        if isinstance(dataset, KaggleDataset):
            _unpack(_download_from_kaggle(dataset.folder, file.remote, force_download), temporary)
        elif isinstance(dataset, HubDataset):
            _write(_hub_frames(dataset, file, force_download), temporary)
        check_file(temporary, file, name=path)

    try:
        atomic_write(path, write)
    except UNREADABLE as error:  # the disk is full, the cached download is damaged …
        reason = summarize_error(error, with_type=True)
        raise InputError(f"{path} cannot be made: {reason}; {OVERWRITE_ADVICE}") from error
    finally:
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # removes only an empty folder, which a failure may leave


def check_file(path: Path, file: DatasetFile, name: Path | None = None) -> None:
    """Compare the columns and the number of rows of a file with what is expected.

    Args:
        path: the file to check.
        file: what is expected.
        name: the path that errors show instead of ``path``.

    Raises:
        InputError: the file is unreadable, lacks a column or has another number of rows.
    """
    name = name or path
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as table:  # the footer is enough: no row is read
                header, n_rows = table.schema_arrow.names, table.metadata.num_rows
        else:
            header, n_rows = read_header(path), len(read_columns(path, ["id"]))
    except (InputError, *UNREADABLE) as error:
        reason = summarize_error(error, with_type=not isinstance(error, InputError))
        reason = reason.replace(str(path), str(name))
        reason = reason if str(name) in reason else f"{name}: {reason}"
        raise InputError(f"{reason}; {OVERWRITE_ADVICE}") from None
    missing = [column for column in file.columns if column not in header]
    if missing:
        raise InputError(
            f"{name} has no column {missing[0]!r}; found {', '.join(header)}; expected "
            f"{', '.join(file.columns)}; {OVERWRITE_ADVICE}"
        )
    if n_rows != file.rows:
        raise InputError(f"{name} has {n_rows:,} rows, expected {file.rows:,}; {OVERWRITE_ADVICE}")


def _download_from_kaggle(handle: str, name: str, force_download: bool) -> Path:
    """The path of a competition's file in the cache of kagglehub."""
    try:
        import kagglehub  # here, since only competitions need it
        from kagglehub.exceptions import UnauthenticatedError
    except ImportError:
        raise InputError(f"{handle} is downloaded with kagglehub: pip install kagglehub") from None
    page = f"https://www.kaggle.com/competitions/{handle}"
    try:
        return Path(
            kagglehub.competition_download(handle, path=name, force_download=force_download)
        )
    except UnauthenticatedError:
        raise InputError(f"{page} requires an account and its API token: {TOKEN_ADVICE}") from None
    except Exception as error:  # kagglehub, requests and the system have errors of their own
        status = getattr(getattr(error, "response", None), "status_code", None)
        advice = {
            401: f"Kaggle does not accept your API token (401): {TOKEN_ADVICE}",
            403: f"Kaggle refuses {name} (403): join the competition and accept its rules at "
            f"{page}/rules with the account of your API token, then run this again",
            404: f"Kaggle has no {name} in this competition (404); its files: {page}/data",
        }
        message = advice.get(status) if status is not None else None
        raise InputError(message or _download_failure(f"{page}: {name}", error)) from error


def _unpack(cached: Path, path: Path) -> None:
    """Copy a file out of the cache, and unpack it where its content is a zip archive.

    The name does not tell, since Kaggle also zips files that it calls ``.csv``.
    """
    if not zipfile.is_zipfile(cached):
        shutil.copyfile(cached, path)
        return
    with zipfile.ZipFile(cached) as archive:
        members = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        if len(members) != 1:
            raise InputError(f"{cached}: expected one file in it, found {len(members)}")
        size, free = archive.getinfo(members[0]).file_size, shutil.disk_usage(path.parent).free
        if size > free:
            raise InputError(
                f"{cached} unpacks to {size / 1e9:.3g} GB, and the disk of {path.parent} has "
                f"{free / 1e9:.3g} GB free; make room, then run this again"
            )
        with archive.open(members[0]) as compressed, path.open("wb") as plain:
            shutil.copyfileobj(compressed, plain)


def _hub_frames(
    dataset: HubDataset, file: DatasetFile, force_download: bool
) -> Iterator[pd.DataFrame]:
    """The rows of one file from all its shards, in parts."""
    names = _call_hub(dataset, huggingface_hub.list_repo_files)
    shards = sorted(fnmatch.filter(names, file.remote))  # numbered with leading zeros
    if not shards:
        raise InputError(f"{_page(dataset)} has no file {file.remote}")
    start = 0
    for shard in shards:
        cached = _call_hub(
            dataset,
            huggingface_hub.hf_hub_download,
            filename=shard,
            force_download=force_download,
        )
        for frame in _read_parts(Path(cached)):
            yield _convert(dataset, file, frame, start)
            start += len(frame)


def _call_hub(dataset: HubDataset, function: Callable[..., T], **options: object) -> T:
    """Call a function of the Hub's client for this repository, without an account."""
    page = _page(dataset)
    try:
        return function(
            dataset.repository,
            repo_type="dataset",
            revision=dataset.revision,
            token=False,
            **options,
        )
    except hub_errors.OfflineModeIsEnabled:
        raise InputError(f"{page}: HF_HUB_OFFLINE is set; unset it to download") from None
    except hub_errors.GatedRepoError as error:  # before RepositoryNotFoundError, its base class
        raise InputError(f"{page} now requires an account and accepted terms") from error
    except hub_errors.LocalEntryNotFoundError as error:  # before EntryNotFoundError, its base class
        raise InputError(_download_failure(page, error)) from error  # it means "no connection"
    except (
        hub_errors.RepositoryNotFoundError,
        hub_errors.RevisionNotFoundError,
        hub_errors.EntryNotFoundError,
    ) as error:
        missing = options.get("filename", "the data set")
        raise InputError(f"{page}: {missing} is not there (commit {dataset.revision})") from error
    except Exception as error:  # the client's HTTP library, and so its errors, differ by version
        raise InputError(_download_failure(page, error)) from error


def _page(dataset: HubDataset) -> str:
    return f"https://huggingface.co/datasets/{dataset.repository}"


def _read_parts(path: Path) -> Iterator[pd.DataFrame]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(BATCH_ROWS):
                yield batch.to_pandas()
    else:  # without dtype=False, a text that looks like a number would become one
        yield pd.read_json(path, lines=True, dtype=False, precise_float=True)


def _convert(
    dataset: HubDataset, file: DatasetFile, frame: pd.DataFrame, start: int
) -> pd.DataFrame:
    """The rows with the columns of the file; ids are numbered from ``start`` where missing."""
    frame = dataset.prepare(frame)
    if "id" not in frame.columns:
        stem, width = file.name.partition(".")[0], len(str(file.rows))
        frame = frame.assign(id=[f"{stem}-{start + n:0{width}d}" for n in range(len(frame))])
    missing = [column for column in file.columns if column not in frame.columns]
    if missing:
        raise InputError(f"{_page(dataset)} has no column {missing[0]!r} for {file.name}")
    return frame[list(file.columns)]


def _write(frames: Iterator[pd.DataFrame], path: Path) -> None:
    if path.suffix == ".csv":
        pd.concat(frames).to_csv(path, index=False, lineterminator="\n")
        return
    first = pa.Table.from_pandas(next(frames), preserve_index=False)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for frame in frames:
            writer.write_table(pa.Table.from_pandas(frame, first.schema, preserve_index=False))


def _download_failure(source: str, error: Exception) -> str:
    return (
        f"{source} could not be downloaded ({summarize_error(error, with_type=True)}); check the "
        f"connection and the disk, then run this again: complete files are kept"
    )
