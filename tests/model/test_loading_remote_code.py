"""A stored model or tokenizer that names Python code is refused; nobody is asked to run it."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import pytest

from auxfold.config import Model
from auxfold.errors import InputError
from auxfold.inference.fold_loader import load_fold_tokenizer
from auxfold.model.config import MultiTaskConfig
from auxfold.model.loading import build_backbone
from auxfold.model.reference import load_reference_backbone
from auxfold.model.tokenizer import load_tokenizer
from auxfold.storage.run_folder import FoldFolder
from conftest import make_backbone

CODE = """
from pathlib import Path
from transformers import PreTrainedConfig, PreTrainedTokenizerFast

Path({ran!r}).touch()

class Mine(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A backbone whose tokenizer is Python code next to it; whoever asks is told to run it."""
    monkeypatch.setattr(builtins, "input", lambda prompt: "yes")
    folder = tmp_path / "fold_0"
    make_backbone(folder)
    (folder / "mine.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings |= {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": [None, "mine.Mine"]}}
    path.write_text(json.dumps(settings))
    return folder


def test_a_folds_tokenizer(folder, tmp_path):
    (folder / "config.json").write_text('{"model_type": "auxfold"}')
    with pytest.raises(InputError, match=f"{folder} has a tokenizer that cannot be loaded: .*code"):
        load_fold_tokenizer(FoldFolder(folder))
    assert not (tmp_path / "ran").exists()


def test_the_tokenizer_of_a_backbone_that_a_fold_could_not_load(folder, tmp_path):
    """It runs, as the experiment says so, and is refused before a fold is trained."""
    with pytest.raises(InputError, match="a trained fold could not load"):
        load_tokenizer(Model(backbone=str(folder), trust_remote_code=True))
    assert (tmp_path / "ran").exists()


def test_trust_in_a_backbone_does_not_come_with_a_run(folder, tmp_path):
    stored = Model(backbone=str(folder), trust_remote_code=True).with_origin(Path("outputs/e.toml"))
    with pytest.raises(InputError, match="outputs/e.toml names Python code, model.trust_remote"):
        load_tokenizer(stored)
    assert not (tmp_path / "ran").exists()


def test_a_stored_models_backbone(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    backbone = {"model_type": "blip_text_model", "auto_map": {"AutoModel": "mine.Mine"}}
    config = MultiTaskConfig(backbone={**backbone, "name_or_path": str(folder)}, heads={"main": 1})
    with pytest.raises(InputError, match="backbone cannot be built: .*custom code"):
        build_backbone(config)
    reference = {"name": str(folder), "sha256": "0"}
    with pytest.raises(InputError, match="which cannot be loaded from here .*custom code"):
        load_reference_backbone(reference, config.backbone_config())
    assert not (tmp_path / "ran").exists()
