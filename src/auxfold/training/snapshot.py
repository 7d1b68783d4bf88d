"""A fold as it would be if its training ended now."""

from __future__ import annotations

from auxfold.model.adapters.injection import load_trainable_state_dict
from auxfold.storage.run_folder import FoldFolder
from auxfold.training.fold_files import write_fold
from auxfold.training.fold_trainer import FoldTrainer


def write_snapshot(trainer: FoldTrainer) -> FoldFolder:
    """Write a fold whose training has stopped, next to the state with which it can go on.

    It has the weights that ``selection.keep`` chooses among the evaluations so far, or those of the
    latest step where there is none. Nothing is predicted for it.

    Args:
        trainer: of the fold, whose state is saved.

    Returns:
        The folder, whose ``run.json`` says under ``stopped`` how far the training had come.
    """
    model, progress, folder = trainer.kept_model, trainer.progress, trainer.folder.snapshot
    metrics: dict[str, float | None] = {}
    oof = None
    if progress.stored_evaluation is not None:
        stored = trainer.weights.load(progress, model.device)
        assert stored is not None, "the weights of an evaluation are stored"
        load_trainable_state_dict(model, stored.weights)
        if stored.predictions:
            metrics = trainer.evaluator.score(stored.predictions).metrics
            oof = trainer.evaluator.out_of_fold_frame(trainer.fold, stored.predictions)
    n_rows = trainer.experiment.train.epochs * trainer.parts.epochs.rows_per_epoch
    stopped = {"rows": progress.rows, "of": n_rows, "evaluations": len(progress.history)}
    folder.working.mkdir(parents=True, exist_ok=True)
    write_fold(
        folder,
        trainer.experiment,
        model,
        trainer.parts.tokenizer,
        oof=oof,
        metrics=metrics,
        history=progress.history,
        record={**trainer.describe(), "stopped": stopped},
    )
    return folder
