"""A bundle of adapters has their backbone once and megabytes per fold, and predicts as at home."""

from __future__ import annotations

import filecmp
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.kaggle import kernel, workers
from auxfold.kaggle.bundle import write_bundle
from auxfold.kaggle.loaded_bundle import LoadedBundle
from auxfold.kaggle.names import KaggleNames
from auxfold.kaggle.wheels import ADAPTER_REQUIREMENTS, QUANTIZATION_REQUIREMENTS
from auxfold.storage.atomic import read_json
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import call_main
from conftest import TINY_CONFIG, make_backbone, make_experiment, make_frame, make_tokenizer
from forked import run_forked
from language_models import make_language_model
from offline_notebook import execute_offline

NAMES = KaggleNames("ada", "auxfold tiny", "tiny-comments")
NOTEBOOK = Path(__file__).parents[2] / "notebooks/kaggle_inference.ipynb"
DATA = Path("input/tiny-comments")
SOURCE = "qwen-lm/qwen3/transformers/0.6b/1"


def make_published_model(folder: Path) -> str:
    """A tiny random Qwen3 in bf16 and in shards, as large models are published."""
    make_language_model(folder, "qwen3")
    model = AutoModel.from_pretrained(folder, dtype="auto")
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="3KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return str(folder)


def make_family_model(folder: Path, architecture: str) -> str:
    """A tiny random model; of Gemma 3 one that also reads images, as from 4 billion parameters."""
    if architecture == "modernbert":
        return make_backbone(folder, architecture)
    if architecture != "gemma3":
        return make_language_model(folder, architecture)
    text = {**TINY_CONFIG, "model_type": "gemma3_text", "num_key_value_heads": 1, "head_dim": 8}
    vision = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    sizes = {"text_config": text, "vision_config": vision, "mm_tokens_per_image": 4}
    AutoModel.from_config(AutoConfig.for_model("gemma3", **sizes)).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Runs of two folds: LoRA and bottlenecks in one encoder, LoRA in a language model."""
    workdir = tmp_path_factory.mktemp("adapters")
    (workdir / DATA).mkdir(parents=True)
    make_frame().to_csv(workdir / DATA / "train.csv", index=False)
    make_frame(31, seed=5)[["id", "text"]].to_csv(workdir / DATA / "test.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir)
        encoder = make_backbone(Path("models/encoder"))
        decoder = make_published_model(Path("models/decoder"))
        adapters = {
            "lora": (encoder, {"kind": "lora", "rank": 1}),
            "narrow": (encoder, {"kind": "lora", "target_modules": ["key"]}),
            "pfeiffer": (encoder, {"kind": "pfeiffer"}),
            "language": (decoder, {"kind": "lora", "rank": 1}),
            "quantized": (decoder, {"kind": "lora", "rank": 1}),
        }
        for name, (backbone, adapter) in adapters.items():
            formats = {"quantization": "nf4", "dtype": "bf16"} if name == "quantized" else {}
            data = {key: str(DATA / f"{key}.csv") for key in ("train", "test")}
            experiment = make_experiment(
                "", backbone, name=name, data=data,
                model={"backbone": backbone, "max_length": 24, "adapter": adapter, **formats},
                train={"epochs": 1, "learning_rate": 1e-2},
            )  # fmt: skip
            create_folds(experiment)
            for fold in (0, 1):
                train_fold(experiment, fold)
            Path(f"{name}.toml").write_text(to_toml(experiment))
        for runs in ("lora,narrow", "lora,pfeiffer", "lora,language"):
            call_main("blend", "--runs", runs, "--method", "mean", "--draws", "0",
                      "--name", runs.replace(",", "_"))  # fmt: skip
    return workdir


@pytest.fixture
def workdir(trained, tmp_path, monkeypatch) -> Path:
    """A copy of it, in which a test may change and remove files."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bundle(name: str = "lora", **options: object) -> Path:
    ensemble = Ensemble.from_folder(f"outputs/{name}")
    return write_bundle(ensemble, NAMES, NOTEBOOK, "fp16", **options) / "dataset"


def predict_at_home(name: str) -> np.ndarray:
    return auxfold.load(f"outputs/{name}").predict(pd.read_csv(DATA / "test.csv"))["toxic"]


def predict_on_kaggle(folder: Path, root: Path | None = None) -> np.ndarray:
    frame, folds = kernel.predict(folder, DATA / "test.csv", None, hours=1, root=root)
    assert folds == read_json(folder / "auxfold_manifest.json")["folds"]
    return frame.set_index("id").loc[pd.read_csv(DATA / "test.csv")["id"]]["toxic"]


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(("name", "model"), [("lora", "encoder"), ("language", "decoder")])
def test_the_backbone_is_there_once_and_folds_are_as_trained(workdir, name, model):
    expected = predict_at_home(name)
    folder = bundle(name)
    (backbone,) = (folder / "backbones").iterdir()
    published = [
        path.name
        for path in Path("models", model).iterdir()
        if path.name.startswith(("model", "config"))
    ]
    same, different, missing = filecmp.cmpfiles(f"models/{model}", backbone, published, False)
    assert sorted(same) == sorted(path.name for path in backbone.iterdir()) == sorted(published)
    assert not different and not missing
    for fold in ("fold_0", "fold_1"):
        weights = Path(f"outputs/{name}/{fold}/model.safetensors")
        assert (folder / fold / "model.safetensors").read_bytes() == weights.read_bytes()
        assert not any("embed" in tensor for tensor in load_file(weights))
        reference = read_json(folder / fold / "config.json")["reference"]
        assert reference["path"] == f"../backbones/{backbone.name}"
    manifest = kernel.check_bundle(folder)
    assert (
        manifest["requirements"] == list(ADAPTER_REQUIREMENTS) and manifest["precision"] == "fp32"
    )
    weights = [file for file in manifest["files"] if file.endswith(".safetensors")]
    assert sum(file.startswith("backbones/") for file in weights) == len(weights) - 2
    assert all(file.startswith(("backbones/", "fold_")) for file in weights)
    shutil.rmtree("models")
    shutil.rmtree(f"outputs/{name}/fold_0")
    np.testing.assert_array_equal(
        auxfold.load(folder).predict(pd.read_csv(DATA / "test.csv"))["toxic"], expected
    )
    np.testing.assert_allclose(predict_on_kaggle(folder), expected, atol=1e-6)


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma3", "modernbert"])
def test_families_go_from_training_into_a_bundle(work_dir, architecture):
    backbone = make_family_model(Path("models") / architecture, architecture)
    model = {"backbone": backbone, "max_length": 24, "adapter": {"kind": "lora"}}
    train = {"epochs": 1, "learning_rate": 1e-2}
    data = {"test": "input/tiny-comments/test.csv"}
    experiment = make_experiment("train.csv", backbone, model=model, train=train, data=data)
    create_folds(experiment)
    for fold in (0, 1):
        train_fold(experiment, fold)
    texts = make_frame(12, 5)["text"]
    expected = auxfold.load("outputs/tiny").predict(texts, tasks="all")
    folder = bundle("tiny")
    kernel.check_bundle(folder)
    shutil.rmtree("models")
    assert len(list(folder.rglob("backbones/*"))) == 1
    loaded = auxfold.load(folder)
    first, second = ({p.data_ptr() for p in model.backbone.parameters() if not p.requires_grad}
                     for model in loaded.models[0])  # fmt: skip
    assert first == second and first
    np.testing.assert_array_equal(loaded.predict(texts, tasks="all"), expected)


def test_the_bundle_grows_by_an_adapter_per_fold(workdir):
    def n_bytes(folder: Path) -> int:
        paths = [*folder.rglob("*.safetensors")]
        return sum(path.stat().st_size for path in paths)

    of_two = n_bytes(bundle())
    Path("outputs/lora/kaggle").rename("two")
    ensemble = Ensemble.from_folder("outputs/lora", [0])
    of_one = n_bytes(write_bundle(ensemble, NAMES, NOTEBOOK, "fp16") / "dataset")
    assert of_two - of_one == n_bytes(Path("outputs/lora/fold_1"))
    merged = n_bytes(bundle(overwrite=True, merge_adapters=True))
    assert merged > n_bytes(Path("models/encoder")), "two backbones in fp16, and their heads"


@pytest.mark.usefixtures("forked_workers")
def test_merged_folds_need_no_backbone(workdir):
    expected = predict_at_home("lora")
    folder = bundle(merge_adapters=True)
    manifest = kernel.check_bundle(folder)
    assert manifest["requirements"] == [] and manifest["precision"] == "fp16"
    assert not (folder / "backbones").exists()
    shutil.rmtree("models")
    np.testing.assert_allclose(predict_on_kaggle(folder), expected, atol=2e-3)


@pytest.mark.usefixtures("forked_workers")
def test_quantized_folds_are_quantized_again_there(workdir):
    expected = predict_at_home("quantized")
    with pytest.raises(InputError, match="Kaggle's image has no bitsandbytes; run pip download"):
        bundle("quantized")
    Path("wheels").mkdir()
    wheel = Path("wheels/bitsandbytes-0.50.2-py3-none-manylinux_2_24_x86_64.whl")
    wheel.write_bytes(b"a wheel")
    folder = bundle("quantized", wheels=wheel.parent)
    manifest = kernel.check_bundle(folder)
    assert manifest["requirements"] == [*QUANTIZATION_REQUIREMENTS, *ADAPTER_REQUIREMENTS]
    assert (folder / wheel).read_bytes() == b"a wheel" and str(wheel) in manifest["files"]
    reference = read_json(folder / "fold_0/config.json")["reference"]
    assert reference["quantization"] == "nf4" and reference["dtype"] == "bf16"
    shutil.rmtree("models")
    np.testing.assert_allclose(predict_on_kaggle(folder), expected, atol=1e-6)


def test_the_command_takes_all_of_it(workdir, capsys):
    command = ("bundle_kaggle", "--config", "language.toml", "--owner", "ada", "--overwrite")
    call_main(*command)
    assert "outputs/language/kaggle: 2 folds in fp32, " in capsys.readouterr().out
    call_main(*command, "--merge-adapters")
    assert "2 folds in fp16, " in capsys.readouterr().out
    call_main(*command, "--backbone-source", SOURCE)
    metadata = read_json(Path("outputs/language/kaggle/kernel/kernel-metadata.json"))
    assert metadata["model_sources"] == [SOURCE]


def test_bottlenecks_need_no_package(workdir):
    folder = bundle("pfeiffer")
    assert kernel.check_bundle(folder)["requirements"] == []
    assert (folder / "backbones").is_dir()


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(("blend", "n_backbones"), [("lora_pfeiffer", 1), ("lora_language", 2)])
def test_runs_of_a_blend_have_a_backbone_in_common(workdir, blend, n_backbones):
    loaded = Blend.from_folder(f"outputs/{blend}")
    expected = loaded.predict(loaded.tables(None), show=False)["main"][:, 0]
    folder = write_bundle(loaded, NAMES, NOTEBOOK, "fp16") / "dataset"
    assert len(list((folder / "backbones").iterdir())) == n_backbones
    assert kernel.check_bundle(folder)["requirements"] == list(ADAPTER_REQUIREMENTS)
    shutil.rmtree("models")
    np.testing.assert_allclose(predict_on_kaggle(folder), expected, atol=1e-6)
    texts = pd.read_csv(DATA / "test.csv")
    np.testing.assert_allclose(auxfold.load(folder).predict(texts)["toxic"], expected, atol=1e-6)


def test_a_run_without_a_weight_has_no_weights_in_the_bundle(workdir):
    path = Path("outputs/lora_language/blend.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "weights": {"toxic": [0.0, 1.0]}}))
    path.with_name("checksums.json").unlink(missing_ok=True)
    folder = write_bundle(Blend.from_folder("outputs/lora_language"), NAMES, NOTEBOOK, "fp16")
    names = {path.name for path in (folder / "dataset/backbones").iterdir()}
    assert len(names) == 1 and names.pop().startswith("decoder-")
    assert not (folder / "dataset/runs/lora/fold_0/model.safetensors").exists()
    kernel.check_bundle(folder / "dataset")


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("mount", ["qwen3/transformers/0.6b/1", f"models/{SOURCE}"])
def test_a_kaggle_model_may_have_the_backbone(workdir, mount):
    expected = predict_at_home("language")
    folder = bundle("language", backbone_source=SOURCE)
    metadata = read_json(folder.parent / "kernel/kernel-metadata.json")
    assert metadata["model_sources"] == [SOURCE]
    assert metadata["dataset_sources"] == ["ada/auxfold-tiny"]
    assert not (folder / "backbones").exists()
    kernel.check_bundle(folder)
    root = Path("kaggle/input")
    shutil.copytree(folder, root / "auxfold-tiny")
    shutil.move("models/decoder", root / mount)
    np.testing.assert_allclose(predict_on_kaggle(root / "auxfold-tiny", root), expected, atol=1e-6)


def test_a_backbone_that_is_not_attached_is_refused_before_anything_is_predicted(workdir):
    folder = bundle("language", backbone_source="ada/my-backbone")
    metadata = read_json(folder.parent / "kernel/kernel-metadata.json")
    assert metadata["dataset_sources"] == ["ada/auxfold-tiny", "ada/my-backbone"]
    with pytest.raises(InputError, match=r"no config.json of ada/my-backbone below .*; attach it"):
        predict_on_kaggle(folder, Path("input"))


@pytest.mark.parametrize(
    ("source", "options", "expected"),
    [
        ("lora", {"backbone_source": "qwen3"}, "--backbone-source qwen3: expected is a Kaggle mod"),
        ("lora", {"backbone_source": SOURCE, "merge_adapters": True}, "refer to no backbones"),
        ("lora_language", {"backbone_source": SOURCE}, "refer to 2 backbones"),
    ],
)
def test_a_source_that_would_not_serve_all_folds_is_refused(workdir, source, options, expected):
    is_blend = Path(f"outputs/{source}/blend.json").is_file()
    read = Blend.from_folder if is_blend else Ensemble.from_folder
    with pytest.raises(InputError, match=expected):
        write_bundle(read(f"outputs/{source}"), NAMES, NOTEBOOK, "fp16", **options)
    assert not Path(f"outputs/{source}/kaggle").exists()


def test_a_missing_or_changed_backbone_is_refused_at_home(workdir):
    other = AutoModel.from_pretrained("models/encoder")
    Path("models/encoder").rename("gone")
    with pytest.raises(InputError, match=r"fold_0 is an adapter of .*, whose files are not here"):
        bundle()
    with torch.no_grad():
        other.encoder.layer[0].output.dense.bias[3] += 1e-3
    other.save_pretrained("models/encoder")
    with pytest.raises(InputError, match="not the one that this fold's adapter was trained on"):
        bundle()
    assert not Path("outputs/lora/kaggle").exists()


def test_a_link_out_of_the_backbone_is_refused(workdir):
    """A run folder may be somebody else's, and name a folder with a link to a secret."""
    config, weights = Path("models/encoder/config.json"), Path("models/encoder/model.safetensors")
    shutil.move(weights, "models/encoder/weights")
    weights.symlink_to("weights")
    bundle()
    shutil.move(config, "secret")
    config.symlink_to("../../secret")
    with pytest.raises(InputError, match="leads to .*secret, which is neither in the backbone's f"):
        bundle(overwrite=True)


def test_a_damaged_backbone_in_the_bundle_is_noticed(workdir):
    folder = bundle()
    (weights,) = (folder / "backbones").rglob("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(InputError, match="model.safetensors is not the file that was bundled"):
        kernel.check_bundle(folder)
    assert LoadedBundle.from_folder(folder).backbone_source is None


def test_the_notebook_loads_the_backbone_with_no_network(workdir):
    """Also one that is an input of its own; a process predicts both folds."""
    expected = predict_at_home("language")
    folder = bundle("language", backbone_source=SOURCE)
    root = Path("kaggle/input").resolve()
    shutil.copytree(folder, root / "datasets/ada/auxfold-tiny")
    shutil.copytree(DATA, root / "competitions/tiny-comments")
    shutil.move("models/decoder", root / "models" / SOURCE)
    notebook = folder.parent / "kernel/kaggle_inference.ipynb"
    output = execute_offline(notebook.resolve(), Path.cwd(), AUXFOLD_INPUT=str(root))
    assert "packages: all are recent enough, none is installed" in output
    assert "31 rows from fold_0, fold_1" in output
    predictions = pd.read_csv("submission.csv").set_index("id")
    ids = pd.read_csv(DATA / "test.csv")["id"]
    np.testing.assert_allclose(predictions.loc[ids, "toxic"], expected, atol=1e-6)


def test_a_process_loads_the_backbone_once(workdir, monkeypatch, capsys):
    program = (
        "import sys\n"
        "from auxfold.kaggle import workers\n"
        "from auxfold.model import loading\n"
        "load = loading.load_reference_backbone\n"
        "def record(reference, *args, **options):\n"
        "    print('loading', reference['name'])\n"
        "    return load(reference, *args, **options)\n"
        "loading.load_reference_backbone = record\n"
        "import json\n"
        "arguments = json.loads(sys.argv[1])\n"
        "workers.predict_shard(workers.WorkerShard(**arguments['shard']), arguments['tasks'])\n"
    )

    def run_process(shard: workers.WorkerShard, tasks: dict[str, list[str]]) -> int:
        argument = json.dumps({"shard": asdict(shard), "tasks": tasks})
        process = run_forked([sys.executable, "-c", program, argument])
        print(process.stdout + process.stderr)
        return process.returncode

    monkeypatch.setattr(workers, "_run_process", run_process)
    loaded = Blend.from_folder("outputs/lora_narrow")
    predict_on_kaggle(write_bundle(loaded, NAMES, NOTEBOOK, "fp16") / "dataset")
    assert capsys.readouterr().out.count("loading ") == 1, "four folds of two runs"
