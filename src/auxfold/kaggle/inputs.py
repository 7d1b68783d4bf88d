"""The competition's files on Kaggle, found by its folder, their paths in it, and their columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePath

from auxfold.data.files import read_columns, read_header
from auxfold.errors import InputError, list_first
from auxfold.kaggle.loaded_bundle import LoadedBundle
from auxfold.kaggle.manifest import read_manifest
from auxfold.kaggle.names import path_in_competition

COMPRESSED = (".zip", ".gz", ".zst")
MAX_DEPTH = 3  # of the competition's folder below that of all inputs
MAX_NAMED = 5  # files in a message


def find_inputs(bundle: Path, root: Path) -> tuple[Path, Path | None]:
    """Find the competition's test file and its sample submission.

    Only files in the competition's folder count: ``<root>/<name>`` or, on newer machines,
    ``<root>/competitions/<name>``. Of several files with the right name, the one whose folders are
    those of ``data.test`` at home is taken, else the only one with the right columns and ids.

    Args:
        bundle: the mounted dataset.
        root: the folder of all inputs.

    Returns:
        The test file, and the sample submission or None where the experiment has none.

    Raises:
        InputError: a file is not there, or several files could be it.
    """
    loaded = LoadedBundle.from_folder(bundle)
    data = loaded.experiment.data
    folders = competition_folders(root, loaded.competition, bundle)
    sample = None
    if data.sample_submission:
        header = read_manifest(bundle)["sample_columns"]
        finder = FileFinder(
            folders, root, loaded.competition, lambda path: has_columns(path, header)
        )
        sample = finder.find(data.sample_submission)
    finder = FileFinder(
        folders, root, loaded.competition, lambda path: _is_test_file(loaded, path, sample)
    )
    return finder.find(data.test or "test.csv"), sample


def competition_folders(root: Path, competition: str, bundle: Path) -> list[Path]:
    """The folder where Kaggle mounts the competition's files, else the folders of its name."""
    for mount in (root / "competitions" / competition, root / competition):
        if mount.is_dir():
            return [mount]
    patterns = ["/".join(["*"] * depth + [competition]) for depth in range(1, MAX_DEPTH)]
    matches = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    return [path for path in matches if path.is_dir() and bundle not in (path, *path.parents)]


class FileFinder:
    """Finds one file of the competition.

    Args:
        folders: the folders of the competition.
        root: the folder of all inputs.
        competition: its name.
        fits: whether a file has the right content.
    """

    def __init__(
        self, folders: list[Path], root: Path, competition: str, fits: Callable[[Path], bool]
    ) -> None:
        self.folders, self.root, self.competition, self.fits = folders, root, competition, fits

    def find(self, home_path: str) -> Path:
        """The file that is ``home_path`` at home, maybe compressed.

        Raises:
            InputError: it is not there, or several files could be it.
        """
        is_in_input = "input" in Path(home_path).parent.parts
        home = _parts(path_in_competition(home_path) if is_in_input else Path(home_path))
        # How many names at the end of both paths are equal, and whether that is all of the path.
        scores: dict[Path, tuple[int, bool]] = {}
        for folder in self.folders:
            for path in folder.rglob(f"{home[-1]}*"):
                parts = _parts(path.relative_to(folder))
                if parts[-1] == home[-1] and path.is_file():
                    n_equal = _count_equal_ends(parts, home)
                    scores[path] = (n_equal, n_equal == len(parts))
        matches = sorted(scores)
        best = [path for path in matches if scores[path] == max(scores.values())]
        if len(best) == 1 and scores[best[0]][1]:
            return best[0]
        fitting = [path for path in matches if self.fits(path)]
        fitting_best = [path for path in fitting if path in best]
        if len(fitting) != 1 and len(fitting_best) != 1:
            raise self._refusal(home[-1], matches, fitting)
        return fitting[0] if len(fitting) == 1 else fitting_best[0]

    def _refusal(self, name: str, matches: list[Path], fitting: list[Path]) -> InputError:
        start = f"{name} of {self.competition} below {self.root}"
        if fitting:
            return InputError(
                f"several files could be {start}: {list_first(fitting, MAX_NAMED)}; set "
                f"data.test and data.sample_submission to their paths in the competition's folder, "
                f"and bundle again"
            )
        if matches:
            return InputError(
                f"no {start} has the columns and ids that are expected; looked at are "
                f"{list_first(matches, MAX_NAMED)}; bundle again with the paths that the "
                f"competition has"
            )
        others = [path for path in sorted(self.root.rglob(f"{name}*")) if path.is_file()]
        hint = f"; of that name elsewhere: {list_first(others, MAX_NAMED)}" if others else ""
        return InputError(
            f"no {start}{hint}; attach the competition to the notebook, or name another one with "
            f"bundle_kaggle.py --competition"
        )


def _parts(path: PurePath) -> list[str]:
    """The names of a path without the ending of a compressed file."""
    name = path.name
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return [*path.parts[:-1], name]


def _count_equal_ends(parts: list[str], others: list[str]) -> int:
    pairs = zip(reversed(parts), reversed(others), strict=False)
    count = 0
    for name, other in pairs:
        if name != other:
            break
        count += 1
    return count


def has_columns(path: Path, header: list[str] | None) -> bool:
    """Whether a file has exactly these columns; None: any."""
    try:
        return header is None or read_header(path) == header
    except InputError:
        return False


def _is_test_file(loaded: LoadedBundle, path: Path, sample: Path | None) -> bool:
    """Whether a file has the columns to predict from, no labels, and the ids of the sample."""
    experiment = loaded.experiment
    try:
        table = loaded.table(path)
        if sample is not None:
            return set(read_columns(sample).iloc[:, 0]) == set(table.ids)
        labels = set(experiment.main_task.file_columns)
        return loaded.is_split or not labels <= set(read_header(path))
    except InputError:
        return False
