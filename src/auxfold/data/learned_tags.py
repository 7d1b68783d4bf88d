"""What a task of tags leaves unset, learned from the training table before anything is made of it.

``make_folds`` stores the completed experiment, and later commands take the tags from there, so that
a model keeps its outputs.
"""

from __future__ import annotations

from auxfold.config import TagsSettings
from auxfold.config.experiment import Experiment, experiment_from_dict
from auxfold.data.loading import read_training_files
from auxfold.data.tags import complete_tags


def learn_tags(experiment: Experiment) -> Experiment:
    """The experiment with the tags of its training table, and the form of their cells.

    What the experiment sets stays as it is. Without an incomplete task of tags, no file is read.

    Raises:
        InputError: as :func:`~auxfold.data.tags.complete_tags`, or a file cannot be read.
    """
    if all(task.is_resolved for task in experiment.tasks if isinstance(task, TagsSettings)):
        return experiment
    frames, paths = zip(*read_training_files(experiment), strict=True)
    tasks = [
        complete_tags(task, [frame[task.columns[0]] for frame in frames], " + ".join(paths))
        if isinstance(task, TagsSettings)
        else task
        for task in experiment.tasks
    ]
    completed = experiment.model_copy(update={"tasks": tasks})
    # Checked again, since the names of the tags' columns may be those of other columns.
    raw = completed.model_dump(mode="json", exclude_none=True)
    checked = experiment_from_dict(raw, f"{experiment.name} with the tags of {' + '.join(paths)}")
    return checked.with_origin(experiment.stored_in)
