"""Files of a data set, downloaded, brought into the columns that are read, and checked.

Kaggle's files come through ``kagglehub``, the others through ``huggingface_hub``. Both keep what
they download in a cache of their own. A file gets its name only when it passed the check, so what
stands in ``input/`` is complete.
"""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import errors as hub_errors

from auxfold.data.files import UNREADABLE, header_of, read_columns
from auxfold.datasets.sources import File, HubSource, KaggleSource, Source
from auxfold.errors import InputError
from auxfold.storage.atomic import atomic_write

BATCH = 100_000  # rows of a parquet file in memory at once
ANEW = "--overwrite downloads it anew"
TOKEN = (
    "make one at https://www.kaggle.com/settings/api and put it into KAGGLE_API_TOKEN or the file "
    "~/.kaggle/access_token (an older ~/.kaggle/kaggle.json works, too)"
)


def download(
    source: Source, output: Path, overwrite: bool = False
) -> Iterator[tuple[File, Path, bool]]:
    """Bring every file of a source below ``output``; yields it, its path, and whether it is new.

    A file that is there already is checked and kept, unless ``overwrite``.

    Raises:
        InputError: no credentials, rules not accepted, no such file or no connection; a column is
            missing or the number of rows is another one, also in a file that was there already.
    """
    for file in source.files:
        path = output / source.folder / file.name
        new = overwrite or not path.exists()
        if new:
            _make(source, file, path, overwrite)
        else:
            check_file(path, file)
        yield file, path, new


def _make(source: Source, file: File, path: Path, anew: bool) -> None:
    def write(temporary: Path) -> None:
        if isinstance(source, KaggleSource):
            _unpack(_kaggle_file(source.folder, file.remote, anew), temporary)
        elif isinstance(source, HubSource):
            _write(_hub_frames(source, file, anew), temporary)
        check_file(temporary, file, name=path)

    try:
        atomic_write(path, write)
    except UNREADABLE as error:  # the disk is full, the cached download is damaged …
        raise InputError(f"{path} cannot be made: {_short(error)}; {ANEW}") from error
    finally:
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # goes only when it is empty, that is after a failure


def check_file(path: Path, file: File, name: Path | None = None) -> None:
    """Compare columns and rows with what is expected; ``name`` is shown instead of ``path``.

    Raises:
        InputError: the file is unreadable, lacks a column or has another number of rows.
    """
    name = name or path
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as table:  # by its footer: no row is read
                header, rows = table.schema_arrow.names, table.metadata.num_rows
        else:
            header, rows = header_of(path), len(read_columns(path, ["id"]))
    except (InputError, *UNREADABLE) as error:
        text = _short(error).replace(str(path), str(name))
        raise InputError(f"{text if str(name) in text else f'{name}: {text}'}; {ANEW}") from None
    missing = [column for column in file.columns if column not in header]
    if missing:
        raise InputError(
            f"{name} has no column {missing[0]!r}; found {', '.join(header)}; expected "
            f"{', '.join(file.columns)}; {ANEW}"
        )
    if rows != file.rows:
        raise InputError(f"{name} has {rows:,} rows, expected {file.rows:,}; {ANEW}")


def _kaggle_file(handle: str, name: str, anew: bool) -> Path:
    """One file of a competition, in kagglehub's cache."""
    try:
        import kagglehub  # only here: nothing else needs it
        from kagglehub.exceptions import UnauthenticatedError
    except ImportError:
        raise InputError(f"{handle} is downloaded with kagglehub: pip install kagglehub") from None
    page = f"https://www.kaggle.com/competitions/{handle}"
    try:
        return Path(kagglehub.competition_download(handle, path=name, force_download=anew))
    except UnauthenticatedError:
        raise InputError(f"{page} wants an account and its API token: {TOKEN}") from None
    except Exception as error:  # of kagglehub, requests or the system
        status = getattr(getattr(error, "response", None), "status_code", None)
        advice = {
            401: f"Kaggle does not accept your API token (401): {TOKEN}",
            403: f"Kaggle refuses {name} (403): join the competition and accept its rules at "
            f"{page}/rules with the account of your API token, then run this again",
            404: f"Kaggle has no {name} in this competition (404); its files: {page}/data",
        }
        raise InputError(advice.get(status) or _failed(f"{page}: {name}", error)) from error


def _unpack(got: Path, path: Path) -> None:
    """Copy a file out of the cache; by content, since Kaggle also zips what is called .csv."""
    if not zipfile.is_zipfile(got):
        shutil.copyfile(got, path)
        return
    with zipfile.ZipFile(got) as archive:
        inside = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        if len(inside) != 1:
            raise InputError(f"{got}: expected one file in it, found {len(inside)}")
        with archive.open(inside[0]) as packed, path.open("wb") as plain:
            shutil.copyfileobj(packed, plain)


def _hub_frames(source: HubSource, file: File, anew: bool) -> Iterator[pd.DataFrame]:
    """The rows of one file, piece by piece, from all its shards."""
    names = _from_hub(source, huggingface_hub.list_repo_files)
    shards = sorted(fnmatch.filter(names, file.remote))  # numbered with leading zeros
    if not shards:
        raise InputError(f"{_page(source)} has no file {file.remote}")
    start = 0
    for shard in shards:
        got = _from_hub(
            source, huggingface_hub.hf_hub_download, filename=shard, force_download=anew
        )
        for frame in _pieces(Path(got)):
            yield _with_columns(source, file, frame, start)
            start += len(frame)


def _from_hub(source: HubSource, function: Callable, **options: object):
    """Call the client's function for this repository, without an account."""
    page = _page(source)
    try:
        return function(
            source.repository, repo_type="dataset", revision=source.revision, token=False, **options
        )
    except hub_errors.OfflineModeIsEnabled:
        raise InputError(f"{page}: HF_HUB_OFFLINE is set; unset it to download") from None
    except hub_errors.GatedRepoError as error:  # before the error it is derived from
        raise InputError(f"{page} wants an account and accepted terms by now") from error
    except hub_errors.LocalEntryNotFoundError as error:  # as well: it means "no connection"
        raise InputError(_failed(page, error)) from error
    except (
        hub_errors.RepositoryNotFoundError,
        hub_errors.RevisionNotFoundError,
        hub_errors.EntryNotFoundError,
    ) as error:
        what = options.get("filename", "the data set")
        raise InputError(f"{page}: {what} is not there (commit {source.revision})") from error
    except Exception as error:  # of the client's HTTP library, which differs by version
        raise InputError(_failed(page, error)) from error


def _page(source: HubSource) -> str:
    return f"https://huggingface.co/datasets/{source.repository}"


def _pieces(path: Path) -> Iterator[pd.DataFrame]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(BATCH):
                yield batch.to_pandas()
    else:  # a text that looks like a number stays a text
        yield pd.read_json(path, lines=True, dtype=False, precise_float=True)


def _with_columns(source: HubSource, file: File, frame: pd.DataFrame, start: int) -> pd.DataFrame:
    frame = source.prepare(frame)
    if "id" not in frame.columns:
        stem, width = file.name.partition(".")[0], len(str(file.rows))
        frame = frame.assign(id=[f"{stem}-{start + n:0{width}d}" for n in range(len(frame))])
    missing = [column for column in file.columns if column not in frame.columns]
    if missing:
        raise InputError(f"{_page(source)} has no column {missing[0]!r} for {file.name}")
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


def _failed(what: str, error: Exception) -> str:
    return (
        f"{what} could not be downloaded ({_short(error)}); check the connection and the disk, "
        f"then run this again: complete files are kept"
    )


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    if not isinstance(error, InputError):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= 300 else text[:300] + " …"
