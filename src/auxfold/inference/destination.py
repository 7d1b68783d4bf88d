"""Where predictions of the test file go: the submission, or a file named after the tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.files import read_header
from auxfold.inference.submission import SampleSubmission, map_submission_columns
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet


def load_sample_submission(
    experiment: Experiment, tasks: TaskSet, ids: np.ndarray
) -> SampleSubmission | None:
    """The competition's sample submission, if the tasks fill its columns.

    Args:
        experiment: names the file.
        tasks: the tasks to predict.
        ids: the ids of the rows to predict.

    Returns:
        None where there is no such file, or where other tasks than the main one are predicted and
        they do not fill its columns.

    Raises:
        InputError: ids that differ, or a column that the main task does not fill.
    """
    path = experiment.data.sample_submission
    if path is None:
        return None
    is_main = tasks.names == [tasks.main.name]
    columns = set(read_header(path)[1:])
    if not is_main and not columns <= set(map_submission_columns(tasks)):
        return None
    return SampleSubmission.read(path, ids, tasks, experiment)


def default_output(
    folder: RunFolder, experiment: Experiment, tasks: TaskSet, sample: SampleSubmission | None
) -> Path:
    """``submission.csv``, or a file named after the tasks where they are no submission."""
    fits_sample = sample is not None or experiment.data.sample_submission is None
    is_submission = fits_sample and tasks.main.name in tasks.names
    return folder.submission if is_submission else folder.predictions(tasks.names)
