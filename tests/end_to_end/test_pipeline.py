"""The commands from end to end, on a tiny backbone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import load_experiment, to_toml
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import refusal_of, run_command, start_process
from conftest import (
    assert_same_training,
    launch_in_two_processes,
    load_history,
    load_tensors,
    make_experiment,
    make_frame,
)


@pytest.fixture(scope="module")
def trained_dir(tmp_path_factory, backbone) -> Path:
    """A directory in which every command has run, from the folds to the report."""
    folder = tmp_path_factory.mktemp("pipeline")
    make_frame().to_csv(folder / "train.csv", index=False)
    test = make_frame(30, seed=5)[["id", "text"]]
    test.to_csv(folder / "test.csv", index=False)
    sample = pd.DataFrame({"id": sorted(test["id"]), "prediction": 0.0})
    sample.to_csv(folder / "sample_submission.csv", index=False)
    data = {"train": "train.csv", "test": "test.csv", "sample_submission": "sample_submission.csv"}
    (folder / "e.toml").write_text(to_toml(make_experiment("train.csv", backbone, data=data)))
    run_command("make_folds", "--config", "e.toml", cwd=folder)
    run_command("train", "--config", "e.toml", "--fold", "all", cwd=folder)
    run_command("inference", "--config", "e.toml", cwd=folder, is_module=True)
    run_command("evaluate", "--config", "e.toml", cwd=folder, is_module=True)
    return folder


def test_the_run_folder_is_complete(trained_dir):
    for fold in (0, 1):
        names = {p.name for p in (trained_dir / f"outputs/tiny/fold_{fold}").iterdir()}
        assert names >= {
            "model.safetensors", "config.json", "tokenizer.json", "experiment.toml",
            "metrics.json", "history.jsonl", "oof.parquet", "run.json",
        }  # fmt: skip
        assert not [name for name in names if name.startswith(("state", "kept_"))]
    run = json.loads((trained_dir / "outputs/tiny/fold_0/run.json").read_text())
    assert run["packages"]["torch"] and len(run["data_fingerprint"]) == 16
    written = load_experiment(trained_dir / "outputs/tiny/fold_0/experiment.toml")
    assert written == load_experiment(trained_dir / "e.toml")


def test_submission_has_the_ids_of_the_sample_in_its_order(trained_dir):
    submission = pd.read_csv(trained_dir / "outputs/tiny/submission.csv", dtype={"id": str})
    sample = pd.read_csv(trained_dir / "sample_submission.csv", dtype={"id": str})
    assert list(submission.columns) == ["id", "prediction"]
    assert submission["id"].tolist() == sample["id"].tolist()
    assert submission["prediction"].between(0, 1).all()


def test_predictions_belong_to_their_ids_whatever_the_row_order(trained_dir):
    shuffled = pd.read_csv(trained_dir / "test.csv").sample(frac=1, random_state=1)
    shuffled.to_csv(trained_dir / "shuffled.csv", index=False)
    run_command("inference", "--config", "e.toml", "--input", "shuffled.csv",
                "--output", "shuffled_out.csv", cwd=trained_dir)  # fmt: skip
    predictions = pd.read_csv(trained_dir / "shuffled_out.csv")
    assert predictions["id"].tolist() == shuffled["id"].tolist()
    first = pd.read_csv(trained_dir / "outputs/tiny/submission.csv").set_index("id")["prediction"]
    np.testing.assert_allclose(predictions["toxic"], first.loc[predictions["id"]], atol=1e-5)


def test_inference_needs_nothing_but_the_fold_folders(trained_dir, tmp_path):
    """Only the experiment, two fold folders and the test file: no backbone, no training data."""
    shutil.copy(trained_dir / "test.csv", tmp_path)
    for fold in (0, 1):
        folder = tmp_path / f"outputs/tiny/fold_{fold}"
        shutil.copytree(trained_dir / f"outputs/tiny/fold_{fold}", folder)
    (tmp_path / "e.toml").write_text(
        (trained_dir / "outputs/tiny/fold_0/experiment.toml").read_text()
        .replace("sample_submission", "# sample_submission")
    )  # fmt: skip
    moved = trained_dir.parent / "moved"
    backbone = Path(load_experiment(trained_dir / "e.toml").model.backbone)
    backbone.rename(moved)
    try:
        run_command("inference", "--config", "e.toml", "--output", "out.csv", cwd=tmp_path)
    finally:
        moved.rename(backbone)
    predictions = pd.read_csv(tmp_path / "out.csv").set_index("id")["toxic"]
    expected = pd.read_csv(trained_dir / "outputs/tiny/submission.csv").set_index("id")[
        "prediction"
    ]
    np.testing.assert_allclose(predictions.loc[expected.index], expected, atol=1e-6)


def test_groups_and_duplicates_stay_together_through_the_scripts(work_dir, backbone):
    frame = make_frame(120)
    frame["thread"] = [f"t{n // 4}" for n in range(120)]
    frame.loc[100, "text"] = "  " + frame.loc[3, "text"].upper() + "!"
    frame.to_csv("train.csv", index=False)
    experiment = make_experiment(
        "train.csv", backbone, data={"train": "train.csv", "group": "thread"}
    )
    (work_dir / "e.toml").write_text(to_toml(experiment))
    run_command("make_folds", "--config", "e.toml", cwd=work_dir)
    folds = pd.read_parquet("outputs/tiny/folds.parquet").set_index("id")["fold"].loc[frame["id"]]
    assert (folds.groupby(frame["thread"].to_numpy()).nunique() == 1).all()
    assert folds.iloc[100] == folds.iloc[3]
    assert set(folds) == {0, 1}


def test_averaging_logits_is_a_setting(trained_dir):
    logits = 0.0
    for fold in (0, 1):
        run_command("inference", "--config", "e.toml", "--folds", str(fold), "--output", "one.csv",
                    cwd=trained_dir)  # fmt: skip
        probabilities = pd.read_csv(trained_dir / "one.csv")["prediction"]
        logits = logits + np.log(probabilities / (1 - probabilities)) / 2
    run_command("inference", "--config", "e.toml", "--set", "inference.average=logit",
                "--output", "both.csv", cwd=trained_dir)  # fmt: skip
    both = pd.read_csv(trained_dir / "both.csv")["prediction"]
    np.testing.assert_allclose(both, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_the_ensemble_is_the_mean_of_its_folds(trained_dir):
    for folds, name in (("0", "one.csv"), ("1", "two.csv")):
        run_command(
            "inference", "--config", "e.toml", "--folds", folds, "--output", name, cwd=trained_dir
        )
    first, second = (pd.read_csv(trained_dir / n)["prediction"] for n in ("one.csv", "two.csv"))
    both = pd.read_csv(trained_dir / "outputs/tiny/submission.csv")["prediction"]
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-7)
    assert (first - second).abs().max() > 1e-4


def test_tasks_of_inference(trained_dir):
    text = run_command("inference", "--config", "e.toml", "--input", "test.csv", "--all-tasks",
                       "--output", "every.csv", cwd=trained_dir)  # fmt: skip
    assert "every.csv" in text
    every = pd.read_csv(trained_dir / "every.csv")
    assert list(every.columns) == ["id", "toxic", "insult", "threat"]
    assert "aux" in refusal_of("inference", "--config", "e.toml", "--task", "auxx", cwd=trained_dir)


def test_oof_is_each_row_once_and_scored_by_id(trained_dir):
    oof = pd.read_parquet(trained_dir / "outputs/tiny/oof.parquet")
    train = pd.read_csv(trained_dir / "train.csv")
    names = ["toxic", "insult", "threat"]
    assert list(oof.columns) == ["id", "fold", *names, *(f"{name}__label" for name in names)]
    assert oof["id"].tolist() == train["id"].tolist()
    folds = pd.read_parquet(trained_dir / "outputs/tiny/folds.parquet").set_index("id")["fold"]
    assert oof["fold"].tolist() == folds.loc[oof["id"]].tolist()
    labels = oof[[f"{name}__label" for name in names]].to_numpy()
    np.testing.assert_allclose(labels, train[names].to_numpy(), rtol=1e-6)
    of_fold = pd.read_parquet(trained_dir / "outputs/tiny/fold_1/oof.parquet").set_index("id")
    pd.testing.assert_frame_equal(
        of_fold, oof.set_index("id").loc[of_fold.index], check_dtype=False
    )
    scores = json.loads(run_command("evaluate", "--config", "e.toml", "--json", cwd=trained_dir))
    cv = json.loads((trained_dir / "outputs/tiny/cv.json").read_text())
    assert {name: scores[name] for name in cv["oof"]} == cv["oof"]
    for key in ("intervals", "rank_within_folds", "baselines", "notes"):
        assert scores[key] == cv[key]
    assert list(cv["intervals"]) == ["main/auc", "aux/auc"] and cv["baselines"]["rows"] == 60
    printed = run_command("evaluate", "--config", "e.toml", "--no-baseline", cwd=trained_dir)
    header, _, first = printed.splitlines()[1:4]
    assert header.split("  ")[0] == "metric" and "95 % interval" in header
    assert "TF-IDF" not in printed and "–" in first.split()[2]
    assert "baselines" not in json.loads((trained_dir / "outputs/tiny/cv.json").read_text())
    shuffled = oof.sample(frac=1, random_state=0)
    shuffled.to_csv(trained_dir / "oof_shuffled.csv", index=False)
    by_file = json.loads(
        run_command("evaluate", "--config", "e.toml", "--labels", "train.csv", "--metric", "auc",
                    "--predictions", "oof_shuffled.csv", "--json", cwd=trained_dir)
    )  # fmt: skip
    assert by_file["auc/toxic"] == pytest.approx(scores["main/auc"], abs=1e-12)
    assert by_file["intervals"]["auc"]["method"] == "delong"
    report = (trained_dir / "outputs/tiny/report.html").read_text()
    assert f"{scores['main/auc']:.4f}" in report and "http" not in report.replace(
        "http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", "").replace("https://matplotlib.org", "")  # fmt: skip


def test_the_oof_of_a_row_is_what_its_fold_predicts_for_it(trained_dir):
    oof = pd.read_parquet(trained_dir / "outputs/tiny/oof.parquet").set_index("id")
    for fold in (0, 1):
        run_command("inference", "--config", "e.toml", "--folds", str(fold), "--all-tasks",
                    "--input", "train.csv", "--output", "all.csv", cwd=trained_dir)  # fmt: skip
        predictions = pd.read_csv(trained_dir / "all.csv").set_index("id")
        ids = pd.read_parquet(trained_dir / f"outputs/tiny/fold_{fold}/oof.parquet")["id"]
        names = ["toxic", "insult", "threat"]
        np.testing.assert_allclose(oof.loc[ids, names], predictions.loc[ids, names], atol=1e-6)


def test_nothing_is_overwritten_unasked(trained_dir):
    text = refusal_of("train", "--config", "e.toml", "--fold", "0", cwd=trained_dir)
    assert "--overwrite" in text
    assert "finished already" in run_command(
        "train", "--config", "e.toml", "--fold", "0", "--resume", cwd=trained_dir
    )


def test_scores_of_another_experiment_are_refused(trained_dir):
    before = (trained_dir / "outputs/tiny/cv.json").read_text()
    text = refusal_of(
        "evaluate", "--config", "e.toml", "--set", "train.learning_rate=0.5", cwd=trained_dir
    )
    assert "was trained with train.learning_rate = 0.001, you gave 0.5; use --run tiny" in text
    assert (trained_dir / "outputs/tiny/cv.json").read_text() == before


def test_memory_settings_do_not_change_what_was_trained(trained_dir):
    """After "out of memory" the folds at hand stay usable; the given budget is used."""
    run_command("inference", "--config", "e.toml", "--set", "train.max_tokens_per_batch=512",
                "--set", "inference.max_tokens_per_batch=1", "--output", "one_by_one.csv",
                cwd=trained_dir)  # fmt: skip
    predictions = pd.read_csv(trained_dir / "one_by_one.csv")["prediction"]
    expected = pd.read_csv(trained_dir / "outputs/tiny/submission.csv")["prediction"]
    np.testing.assert_allclose(predictions, expected, atol=1e-5)
    assert not np.array_equal(predictions, expected), "batches of one row round differently"


def test_predictions_do_not_replace_the_submission(trained_dir):
    before = (trained_dir / "outputs/tiny/submission.csv").read_bytes()
    text = refusal_of("inference", "--config", "e.toml", "--input", "train.csv", cwd=trained_dir)
    assert "--input F needs --output F" in text
    text = refusal_of("inference", "--config", "e.toml", "--output", "test.csv", cwd=trained_dir)
    assert "is the table to predict" in text
    assert (trained_dir / "outputs/tiny/submission.csv").read_bytes() == before


def test_other_tasks_get_a_file_of_their_own(trained_dir):
    before = (trained_dir / "outputs/tiny/submission.csv").read_bytes()
    run_command("inference", "--config", "e.toml", "--task", "aux", cwd=trained_dir)
    run_command("inference", "--config", "e.toml", "--all-tasks", cwd=trained_dir)
    assert (trained_dir / "outputs/tiny/submission.csv").read_bytes() == before
    aux = pd.read_csv(trained_dir / "outputs/tiny/predictions_aux.csv")
    assert list(aux.columns) == ["id", "insult", "threat"]
    every = pd.read_csv(trained_dir / "outputs/tiny/predictions_main_aux.csv")
    assert list(every.columns) == ["id", "toxic", "insult", "threat"]
    run_command("inference", "--config", "e.toml", "--task", "main", cwd=trained_dir)
    assert (trained_dir / "outputs/tiny/submission.csv").read_bytes() == before


def test_a_text_on_the_command_line(trained_dir):
    texts = ("--text", "silly goose", "--text", "the garden")
    output = run_command("inference", "--config", "e.toml", "--all-tasks", *texts, cwd=trained_dir)
    experiment, header, first, second = output.splitlines()
    assert experiment == "experiment tiny (e.toml)"
    assert header.split() == ["toxic", "insult", "threat", "text"]
    assert first.endswith("silly goose") and second.endswith("the garden")
    assert "one quoted text" in refusal_of("inference", "--config", "e.toml", "--text", "silly",
                                           "goose", cwd=trained_dir)  # fmt: skip


def test_rare_soft_labels_may_stay_below_one_half_in_an_auxiliary_task(work_dir, backbone):
    make_frame().assign(threat=lambda f: f["threat"] * 0.3).to_csv("train.csv", index=False)
    (work_dir / "e.toml").write_text(to_toml(make_experiment("train.csv", backbone)))
    run_command("make_folds", "--config", "e.toml", cwd=work_dir)
    run_command("train", "--config", "e.toml", "--fold", "0", cwd=work_dir)
    metrics = json.loads((work_dir / "outputs/tiny/fold_0/metrics.json").read_text())
    assert metrics["aux/auc/threat"] is None and metrics["aux/log_loss/threat"] > 0


def test_commands_take_no_abbreviated_options(trained_dir):
    done = start_process("train", "--config", "e.toml", "--fol=all", cwd=trained_dir)
    assert done.returncode == 2 and "--fold" in done.stderr


def test_foreign_folds_are_refused(trained_dir):
    text = refusal_of("inference", "--config", "e.toml", "--set", "train.epochs=5", cwd=trained_dir)
    assert "was trained with train.epochs = 2, you gave 5; use --run tiny, or train" in text
    run = trained_dir / "outputs/tiny/fold_1/run.json"
    original = run.read_text()
    try:
        write_record(run, {**json.loads(original), "data_fingerprint": "x"})
        assert "do not belong together" in refusal_of(
            "inference", "--config", "e.toml", cwd=trained_dir
        )
    finally:
        write_record(run, json.loads(original))


def test_folds_without_their_record_are_made_again(work_dir, backbone):
    """What a crash between the two files leaves."""
    experiment = make_experiment("train.csv", backbone)
    _, folds = create_folds(experiment)
    RunFolder.of(experiment).folds_info.unlink()
    np.testing.assert_array_equal(create_folds(experiment)[1], folds)


def test_a_changed_input_file_is_refused(trained_dir, tmp_path):
    frame = pd.read_csv(trained_dir / "train.csv")
    original = (trained_dir / "train.csv").read_bytes()
    try:
        frame.assign(toxic=1 - frame["toxic"]).to_csv(trained_dir / "train.csv", index=False)
        text = refusal_of(
            "train", "--config", "e.toml", "--fold", "0", "--overwrite", cwd=trained_dir
        )
        assert "was made from other rows than train.csv has now" in text
        assert (trained_dir / "outputs/tiny/fold_0/model.safetensors").exists()
    finally:
        (trained_dir / "train.csv").write_bytes(original)


def test_a_submission_with_other_ids_is_refused(trained_dir):
    sample = pd.read_csv(trained_dir / "sample_submission.csv")
    sample.iloc[1:].to_csv(trained_dir / "short.csv", index=False)
    before = (trained_dir / "outputs/tiny/submission.csv").read_bytes()
    text = refusal_of("inference", "--config", "e.toml",
                      "--set", "data.sample_submission=short.csv", cwd=trained_dir)  # fmt: skip
    assert "has 1 others" in text
    assert (trained_dir / "outputs/tiny/submission.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda f: f.rename(columns={"toxic": "toxicc"}),
            "no column 'toxic' (did you mean 'toxicc'?)",
        ),
        (lambda f: f.assign(toxic="many"), "column 'toxic', row 1: 'many' is not a number"),
        (lambda f: f.assign(threat=1.5), "column 'threat', row 1: label 1.5; a binary label lies"),
        (lambda f: f.assign(id="same"), "id 'same' is in more than one row"),
        (lambda f: f.iloc[:0], "has no rows"),
        (lambda f: f.assign(threat=0), "labels of column 'threat' are < 0.5"),
        (lambda f: f.assign(threat=np.nan), "column 'threat' has no label at all"),
        (lambda f: f.assign(toxic=f["toxic"] * 0.4), "labels of column 'toxic' are < 0.5"),
    ],
)
def test_bad_tables_are_refused_in_one_line(work_dir, backbone, change, expected):
    change(make_frame()).to_csv("train.csv", index=False)
    (work_dir / "e.toml").write_text(to_toml(make_experiment("train.csv", backbone)))
    assert expected in refusal_of("make_folds", "--config", "e.toml", cwd=work_dir)
    assert not (work_dir / "outputs").exists()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.epoch=3", "unknown key 'train.epoch' (did you mean 'epochs'?)"),
        ("train.epochs=many", "train.epochs = 'many'"),
        ("data.train=trian.csv", "no file trian.csv (did you mean 'train.csv'?)"),
        ("model.backbone=nobody/nothing", "model.backbone = 'nobody/nothing' cannot be loaded"),
        ("selection.metric=main/acu", "(did you mean 'main/auc'?)"),
        ("model.max_length=65", "model.max_length = 65, but"),
        ("seed=4294967296", "seed = 4294967296"),
        ("name=2024-01-01", "no outputs/2024-01-01/folds.parquet"),
        ("tasks.aux.name=train", "a task cannot be called 'train'"),
    ],
)
def test_bad_settings_are_refused_in_one_line(trained_dir, setting, expected):
    text = refusal_of("train", "--config", "e.toml", "--fold", "0", "--overwrite",
                      "--set", setting, cwd=trained_dir)  # fmt: skip
    assert expected in text
    assert (trained_dir / "outputs/tiny/fold_0/run.json").exists()


def test_accumulation_trains_the_same_model(work_dir, backbone):
    experiment = make_experiment(
        "train.csv", backbone, model={"backbone": backbone, "max_length": 24, "head_dropout": 0.0,
                                      "hidden_dropout": 0.0, "attention_dropout": 0.0},
    )  # fmt: skip
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    small = experiment.model_copy(
        update={"train": experiment.train.model_copy(update={"max_tokens_per_batch": 30})}
    )
    assert_same_training(train_fold(small, 0, overwrite=True), whole, history)


def test_two_processes_train_the_same_model(work_dir, backbone):
    none = {"head_dropout": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    # 60 rows, 30 to train on in steps of 29: the last step has one row, for two processes.
    experiment = make_experiment(
        "train.csv",
        backbone,
        model={"backbone": backbone, "max_length": 24, **none},
        train={"epochs": 2, "batch_size": 29, "max_tokens_per_batch": 100},
    )
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    launch_in_two_processes(experiment)
    assert_same_training(folder, whole, history)


def test_fold_full_trains_on_every_row(trained_dir):
    run_command("train", "--config", "e.toml", "--fold", "full", cwd=trained_dir)
    run = json.loads((trained_dir / "outputs/tiny/fold_full/run.json").read_text())
    assert run["rows"] == {"train": 60, "valid": 0}
    run_command(
        "inference",
        "--config",
        "e.toml",
        "--folds",
        "full",
        "--output",
        "full.csv",
        cwd=trained_dir,
    )


def files_below(folder: Path) -> set[tuple[str, int]]:
    return {(str(p), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def test_a_dry_run_tells_everything_and_writes_nothing(trained_dir):
    before = files_below(trained_dir)
    output = run_command(
        "train", "--config", "e.toml", "--fold", "all", "--dry-run", cwd=trained_dir
    )
    assert "60 of train.csv: 30 to train on, 30 to validate" in output
    assert (
        "steps      8 of 8 rows: 2 epochs of 4; 0 of warm-up, 2 evaluations by main/auc" in output
    )
    assert "2 folds" in output and "GB at the longest batch" in output
    assert "fold_0 exists: it needs --overwrite" in output
    fresh = ("--set", "name=fresh", "--set", "train.evaluations_per_epoch=2")
    output = run_command(
        "train", "--config", "e.toml", *fresh, "--fold", "1", "--dry-run", cwd=trained_dir
    )
    assert "fold 1 of fresh" in output and "4 evaluations" in output and "exists" not in output
    assert files_below(trained_dir) == before
    output = refusal_of("train", "--config", "e.toml", "--fold", "7", "--dry-run", cwd=trained_dir)
    assert "folds are 0 to 1" in output


def test_a_trial_on_few_rows_has_a_name_of_its_own(trained_dir):
    trial = ("--config", "e.toml", "--rows", "20", "--set", "train.epochs=1")
    output = run_command("make_folds", *trial, cwd=trained_dir)
    assert "20 rows of train.csv" in output
    frame = pd.read_csv(trained_dir / "train.csv")
    folds = pd.read_parquet(trained_dir / "outputs/tiny_rows20/folds.parquet")
    assert len(folds) == 20 and set(folds["id"]) < set(frame["id"])
    share = frame.set_index("id").loc[folds["id"], "toxic"].ge(0.5).mean()
    assert abs(share - frame["toxic"].ge(0.5).mean()) <= 0.5 / 20 + 1e-9, "drawn evenly"
    run_command("train", *trial, "--fold", "all", cwd=trained_dir)
    run_command("evaluate", *trial, cwd=trained_dir)
    output = refusal_of("make_folds", "--config", "e.toml", "--rows", "1", cwd=trained_dir)
    assert "too few rows with data.rows = 1" in output
    assert "data.rows" in refusal_of(
        "make_folds", "--config", "e.toml", "--rows", "0", cwd=trained_dir
    )
