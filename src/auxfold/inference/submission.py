"""A prediction table in the shape that a competition accepts."""

from __future__ import annotations

import pandas as pd

from auxfold.data.table import read_columns
from auxfold.errors import InputError


def align_to_sample(predictions: pd.DataFrame, sample_path: str) -> pd.DataFrame:
    """Predictions with exactly the ids and columns of the sample submission, in its order.

    Args:
        predictions: the id column first, then one column per predicted label.
        sample_path: the competition's sample submission.

    Raises:
        InputError: ids that differ, or columns that cannot be matched.
    """
    sample = read_columns(sample_path)
    id_column, *wanted = sample.columns
    own_id, *predicted = predictions.columns
    if sample[id_column].duplicated().any():
        raise InputError(f"{sample_path}: an id stands in more than one row")
    _same_ids(set(predictions[own_id]), set(sample[id_column]), sample_path)
    if len(wanted) == len(predicted) == 1:
        columns = predicted  # "prediction" or whatever the competition calls it
    elif set(wanted) <= set(predicted):
        columns = wanted
    else:
        missing = [c for c in wanted if c not in predicted]
        raise InputError(
            f"{sample_path} wants column {missing[0]!r} ({len(wanted)} in all), predicted are "
            f"{', '.join(predicted)}; --all-tasks predicts every task's columns"
        )
    by_id = predictions.set_index(own_id)[columns]
    aligned = by_id.loc[sample[id_column]].set_axis(wanted, axis=1)
    if aligned.isna().any().any():
        raise InputError("a prediction is NaN; the submission was not written")
    return aligned.rename_axis(id_column).reset_index()


def _same_ids(ours: set[str], theirs: set[str], sample_path: str) -> None:
    if ours == theirs:
        return
    lacking, extra = sorted(theirs - ours), sorted(ours - theirs)
    example = f"{lacking[0]!r} is not predicted" if lacking else f"{extra[0]!r} is not in it"
    raise InputError(
        f"the test file's ids are not those of {sample_path}: {len(lacking)} missing, "
        f"{len(extra)} too many (e.g. {example}); check data.test and data.sample_submission"
    )
