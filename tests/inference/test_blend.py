"""A blend predicts with every run and the stored weights, joined by id, or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.storage.checksums import write_checksums
from auxfold.storage.records import write_record
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import refusal_of_script, run_script
from conftest import make_backbone, make_experiment, make_frame


@pytest.fixture(scope="module")
def trained_runs(tmp_path_factory, backbone) -> Path:
    """Two runs: other backbones, lengths, folds, text columns, tasks and orders of test rows."""
    folder = tmp_path_factory.mktemp("blend")
    other = make_backbone(folder / "electra", "electra")
    make_frame().rename(columns={"text": "words"}).to_csv(folder / "other_train.csv", index=False)
    make_frame().to_csv(folder / "train.csv", index=False)
    test = make_frame(30, seed=5)[["id", "text"]]
    test.to_csv(folder / "test.csv", index=False)
    test.sample(frac=1, random_state=1).rename(columns={"text": "words"}).to_csv(
        folder / "other_test.csv", index=False
    )
    sample = pd.DataFrame({"id": sorted(test["id"]), "prediction": 0.0})
    sample.to_csv(folder / "sample.csv", index=False)
    train = {"epochs": 1, "learning_rate": 1e-2}
    files = {"train": "train.csv", "test": "test.csv", "sample_submission": "sample.csv"}
    first = make_experiment("", backbone, name="first", data=files, train=train)
    second = make_experiment(
        "", other, name="second", seed=7, train=train, folds={"n_splits": 3},
        data={"train": "other_train.csv", "test": "other_test.csv", "text": "words"},
        model={"backbone": other, "max_length": 12},
        tasks=[{"name": "every", "kind": "binary", "columns": ["threat", "toxic", "insult"]}],
        inference={"average": "logit"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for experiment in (first, second):
            create_folds(experiment)
            for fold in range(experiment.folds.n_splits):
                train_fold(experiment, fold)
            Path(f"{experiment.name}.toml").write_text(to_toml(experiment))
    return folder


@pytest.fixture
def workdir(trained_runs, monkeypatch) -> Path:
    monkeypatch.chdir(trained_runs)
    return trained_runs


def predict_runs() -> list[pd.DataFrame]:
    """The predictions of each run by its script, by id, in the order of the sample submission."""
    predictions = []
    for name in ("first", "second"):
        run_script(
            "inference", "--config", f"{name}.toml", "--all-tasks", "--output", f"{name}.csv"
        )
        predictions.append(pd.read_csv(f"{name}.csv").set_index("id"))
    return predictions


def test_the_submission_is_the_weighted_mean_of_the_runs(workdir, capsys):
    run_script("blend", "--runs", "first,second", "--method", "hill_climbing", "--average", "logit",
           "--metric", "main/log_loss", "--name", "climbed", "--draws", "10")  # fmt: skip
    record = json.loads(Path("outputs/climbed/blend.json").read_text())
    record["weights"]["toxic"] = [
        0.3,
        0.7,
    ]  # instead of the fitted weights, so that both runs count
    write_record(Path("outputs/climbed/blend.json"), record)
    run_script("inference", "--blend", "outputs/climbed")
    assert "30 rows, 2 runs, 5 models blended" in capsys.readouterr().out
    submission = pd.read_csv("outputs/climbed/submission.csv")
    sample = pd.read_csv("sample.csv")
    assert submission.columns.tolist() == ["id", "prediction"]
    assert submission["id"].tolist() == sample["id"].tolist()
    first, second = (p.loc[submission["id"], "toxic"].to_numpy() for p in predict_runs())
    logit = 0.3 * np.log(first / (1 - first)) + 0.7 * np.log(second / (1 - second))
    np.testing.assert_allclose(submission["prediction"], 1 / (1 + np.exp(-logit)), atol=1e-5)
    assert np.abs(first - second).max() > 1e-2


def test_every_column_by_weights_of_its_own_and_ranks(workdir):
    run_script("blend", "--runs", "first,second", "--method", "nelder_mead", "--average", "rank",
           "--metric", "auc", "--by", "column", "--name", "ranked", "--draws", "0")  # fmt: skip
    record = json.loads(Path("outputs/ranked/blend.json").read_text())
    assert list(record["weights"]) == ["toxic", "insult", "threat"]
    record["weights"] = {"toxic": [0.5, 0.5], "insult": [1.0, 0.0], "threat": [-0.25, 1.25]}
    write_record(Path("outputs/ranked/blend.json"), record)
    test = pd.read_csv("test.csv").sample(frac=1, random_state=3)
    test.assign(words=test["text"]).to_csv("new.csv", index=False)
    run_script(
        "inference", "--blend", "outputs/ranked", "--input", "new.csv", "--output", "out.csv"
    )
    predictions = pd.read_csv("out.csv").set_index("id")
    assert predictions.index.tolist() == test["id"].tolist()
    first, second = (p.loc[predictions.index].rank() / 30 for p in predict_runs())
    for column, (first_weight, second_weight) in record["weights"].items():
        expected = first_weight * first[column] + second_weight * second[column]
        np.testing.assert_allclose(predictions[column], expected, atol=0.04)  # near-ties may swap


def test_other_ids_other_runs_and_options_without_effect_are_refused(workdir, capsys):
    run_script("blend", "--runs", "first,second", "--method", "mean", "--draws", "0")
    blend = ("inference", "--blend", "outputs/blend")
    text = Path("other_test.csv").read_text()
    Path("other_test.csv").write_text("\n".join(text.splitlines()[:-2]) + "\nnew,rain\n")
    try:
        message = refusal_of_script(capsys, *blend)
        assert (
            "other_test.csv does not hold the ids of test.csv: of 30 ids it lacks 2 and has 1"
            in message
        )
    finally:
        Path("other_test.csv").write_text(text)
    pd.read_csv("test.csv").assign(words="rain").to_csv("both.csv", index=False)
    for options, expected in (
        (["--folds", "0"], "--folds has no effect"),
        (["--all-tasks"], "--all-tasks has no effect"),
        (["--config", "first.toml"], "--config has no effect"),
        (["--input", "both.csv"], "--input F needs --output F"),
    ):
        assert expected in refusal_of_script(capsys, *blend, *options)
    assert "no outputs/first/blend.json" in refusal_of_script(
        capsys, "inference", "--blend", "outputs/first"
    )
    run = Path("outputs/second/fold_0/run.json")
    text = run.read_text()
    try:
        write_record(run, {**json.loads(text), "experiment_fingerprint": "x"})
        assert "outputs/second is not the run that was blended" in refusal_of_script(capsys, *blend)
    finally:
        write_record(run, json.loads(text))
    assert not Path("outputs/blend/submission.csv").exists()


def test_a_blend_of_one_runs_weight_is_that_run(workdir):
    run_script(
        "blend", "--runs", "first,second", "--method", "mean", "--name", "one", "--draws", "0"
    )
    path = Path("outputs/one/blend.json")
    write_record(path, {**json.loads(path.read_text()), "weights": {"toxic": [0.0, 1.0]}})
    blend = Blend.from_folder("outputs/one")
    tables = blend.tables(None)
    blended = blend.predict(tables, show=False)["main"][:, 0]
    ensemble = Ensemble.from_folder("outputs/second")
    predictions = ensemble.predict(tables[1], ensemble.select_tasks(), "logit", show=False)[
        "every"
    ][:, 1]
    by_id = pd.Series(predictions, index=tables[1].ids).loc[tables[0].ids]
    np.testing.assert_allclose(blended, by_id, atol=1e-12)


def fit_blend(name: str, *options: str) -> dict:
    run_script(
        "blend", "--runs", "first,second", "--name", name, "--draws", "0", "--method", *options
    )
    return json.loads(Path(f"outputs/{name}/blend.json").read_text())


def predict_blend(name: str, *options: str) -> np.ndarray:
    run_script("inference", "--blend", f"outputs/{name}", *options, "--output", "made.csv")
    return pd.read_csv("made.csv")["prediction"].to_numpy()


def test_a_blend_is_calibrated_and_decided_by_what_its_own_rows_gave(workdir, capsys):
    stored = fit_blend("post", "mean", "--target-precision", "0.8")["postprocess"]
    output = capsys.readouterr().out
    assert list(stored) == ["toxic"]
    assert list(stored["toxic"]["thresholds"]) == ["f1", "precision=0.8"]
    assert "toxic, precision=0.8" in output and "calibrated on the other folds" in output
    oof = pd.read_parquet("outputs/post/oof.parquet").set_index("id")["toxic"]
    truth = pd.read_csv("train.csv").set_index("id")["toxic"].loc[oof.index]
    threshold = stored["toxic"]["thresholds"]["f1"]

    def f1(threshold: float) -> float:
        hits = ((oof >= threshold) & (truth == 1)).sum()
        return 2 * hits / ((oof >= threshold).sum() + (truth == 1).sum())

    assert f1(threshold) == max(f1(threshold) for threshold in oof), (
        "the best threshold on the blend's own rows"
    )
    plain = predict_blend("post")
    assert (
        predict_blend("post", "--threshold", "f1").tolist()
        == (plain >= threshold).astype(int).tolist()
    )
    temperature = stored["toxic"]["calibration"]["temperature"]
    logit = np.log(plain / (1 - plain)) / temperature
    cooled = predict_blend("post", "--calibrate", "temperature")
    np.testing.assert_allclose(cooled, 1 / (1 + np.exp(-logit)), atol=1e-6)
    assert temperature != pytest.approx(1.0, abs=1e-3)


def test_ranks_and_older_blends_cannot_be_calibrated(workdir, capsys):
    assert "postprocess" not in fit_blend("post_rank", "rank")
    assert "mean ranks are no probabilities" in capsys.readouterr().out
    message = refusal_of_script(
        capsys, "inference", "--blend", "outputs/post_rank", "--calibrate", "isotonic"
    )
    assert "'rank' gives none" in message
    record = fit_blend("post_old", "mean")
    del record["postprocess"]
    write_record(Path("outputs/post_old/blend.json"), record)
    message = refusal_of_script(
        capsys, "inference", "--blend", "outputs/post_old", "--threshold", "f1"
    )
    assert "run scripts/blend.py again" in message
    message = refusal_of_script(
        capsys, "blend", "--runs", "first,second", "--name", "no", "--target-precision", "1.5"
    )
    assert "--target-precision 1.5" in message and not Path("outputs/no").exists()


def test_a_blend_predicts_a_table_of_other_names_without_ids(workdir, capsys):
    fit_blend("named", "mean")
    test = pd.read_csv("test.csv").sort_values("id")
    pd.DataFrame({"post": test["text"], "words": test["text"]}).to_csv("posts.csv", index=False)
    run_script("inference", "--blend", "outputs/named", "--input", "posts.csv", "--rename",
               "post=text", "--without-ids", "--output", "posts_out.csv")  # fmt: skip
    predictions = pd.read_csv("posts_out.csv")
    assert predictions["id"].tolist() == list(range(30))
    np.testing.assert_allclose(predictions["toxic"], predict_blend("named"), atol=1e-5)
    message = refusal_of_script(
        capsys, "inference", "--blend", "outputs/named", "--rename", "post=text"
    )
    assert "for the table of --input" in message
    files = ("--input", "posts.csv", "--output", "no.csv")
    message = refusal_of_script(
        capsys, "inference", "--blend", "outputs/named", *files, "--rename", "post=txt"
    )
    assert "'post' is renamed to 'txt', which is not read" in message


def test_a_run_without_a_weight_is_not_computed(workdir, monkeypatch):
    record = fit_blend("light", "mean")
    record["weights"] = {"toxic": [0.0, 1.0]}
    write_record(Path("outputs/light/blend.json"), record)
    blend = Blend.from_folder("outputs/light")
    predicted_runs = []
    predict = Ensemble.predict

    def record_call(ensemble: Ensemble, *args: object, **options: object) -> dict:
        predicted_runs.append(ensemble.experiment.name)
        return predict(ensemble, *args, **options)

    monkeypatch.setattr(Ensemble, "predict", record_call)
    blend.predict(blend.tables(None), show=False)
    assert predicted_runs == ["second"]


def test_a_blend_in_python_is_the_script(workdir, monkeypatch, tmp_path):
    record = fit_blend("loaded", "logit")
    record["weights"] = {"toxic": [0.3, 0.7]}
    write_record(Path("outputs/loaded/blend.json"), record)
    expected = predict_blend("loaded")
    calibrated = predict_blend("loaded", "--calibrate", "temperature")
    sample = pd.read_csv("sample.csv")["id"]
    texts = pd.read_csv("test.csv").set_index("id").loc[sample]
    monkeypatch.chdir(tmp_path)  # in another folder: the runs are next to the blend
    model = auxfold.load(workdir / "outputs/loaded")
    predictions = model.predict(texts.assign(words=texts["text"]))
    assert (
        predictions.columns.tolist() == ["toxic"] and predictions.index.tolist() == sample.tolist()
    )
    np.testing.assert_allclose(predictions["toxic"], expected, atol=1e-5)
    predictions = model.predict(texts["text"].tolist(), calibrate="temperature")
    np.testing.assert_allclose(predictions["toxic"], calibrated, atol=1e-5)
    with pytest.raises(InputError, match="the table has no text column 'words'"):
        model.predict(texts)
    with pytest.raises(InputError, match="a blend: its runs predict with all"):
        auxfold.load(workdir / "outputs/loaded", folds=[0])


def test_a_run_that_ranks_gives_its_probabilities_to_a_blend(workdir):
    fit_blend("ranks_within", "mean")
    expected = predict_blend("ranks_within")
    files = list(Path("outputs/first").glob("fold_*/experiment.toml"))
    texts = [path.read_text() for path in files]
    try:
        for path in files:
            text = path.read_text()
            path.write_text(text.replace('average = "probability"', 'average = "rank"'))
            write_checksums(path.parent, [path.name])
        assert Ensemble.from_folder("outputs/first").experiment.inference.average == "rank"
        np.testing.assert_allclose(predict_blend("ranks_within"), expected, atol=1e-9)
    finally:
        for path, text in zip(files, texts, strict=True):
            path.write_text(text)
            write_checksums(path.parent, [path.name])


def test_a_blend_is_found_from_elsewhere_again_and_again(workdir, monkeypatch, tmp_path):
    fit_blend("far", "mean")
    expected = predict_blend("far")
    monkeypatch.chdir(tmp_path)
    texts = pd.read_csv(workdir / "test.csv")
    texts.assign(words=texts["text"]).to_csv("posts.csv", index=False)
    for _ in range(2):
        run_script("inference", "--blend", str(workdir / "outputs/far"), "--input", "posts.csv",
                   "--output", "out.csv")  # fmt: skip
    predictions = pd.read_csv("out.csv").set_index("id")["toxic"]
    sample = pd.read_csv(workdir / "sample.csv")["id"]
    np.testing.assert_allclose(predictions.loc[sample], expected, atol=1e-5)
    assert not Path("outputs").exists()
