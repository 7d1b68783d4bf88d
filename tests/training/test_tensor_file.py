"""Tensors and JSON in one file: read back exactly, refused by name when damaged, never executed."""

from __future__ import annotations

import math
import os
import pickle
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import auxfold
from auxfold.errors import InputError
from auxfold.storage.checksums import CHECKSUMS
from auxfold.training.tensor_file import read_tensor_file, write_tensor_file

SOURCES = Path(auxfold.__file__).parent


def test_values_are_read_back_exactly(tmp_path):
    matrix = torch.randn(3, 5)
    tensors = {
        "matrix": matrix,
        "view": matrix[1],
        "transposed": matrix.t(),
        "empty": torch.zeros(0, 2),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "half": matrix.half(),
        "bfloat16": matrix.bfloat16(),
        "bool": matrix > 0,
        "bytes": torch.get_rng_state(),
        "int": torch.tensor([2**60, -1]),
    }
    values = {
        "numbers": [1, 0.1, -math.inf, 2**70, True, None, "ü\n"],
        "python": random.getstate(),
        "moments": {0: {"step": 3.0}, 1: {}},
        "empty": ({}, [], ()),
    }
    path = tmp_path / "state.safetensors"
    write_tensor_file(path, {"tensors": tensors, "values": values})
    content = read_tensor_file(path)
    assert content["values"] == values
    assert isinstance(content["values"]["python"][1], tuple)
    for name, tensor in tensors.items():
        assert content["tensors"][name].dtype == tensor.dtype, name
        assert torch.equal(content["tensors"][name], tensor), name
    assert torch.equal(load_file(path)["/tensors/matrix"], matrix), "any program reads the tensors"


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("has_checksums", [True, False])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "is empty"),
        (lambda content: content[:-1], "is cut off"),
        (lambda content: content[: len(content) // 2], "is cut off"),
        (lambda content: pickle.dumps(Evil()), "is cut off"),
        (lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], "was changed"),
        (None, "is missing"),
    ],
    ids=["emptied", "cut", "halved", "pickle", "flipped", "missing"],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, monkeypatch, damage, message, has_checksums):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "state.safetensors"
    write_tensor_file(path, {"weights": {"w": torch.ones(100)}})
    content = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage(content))
    if not has_checksums:
        (tmp_path / CHECKSUMS).unlink()
        message = "is missing" if damage is None else "is damaged or of another form"
        if damage is not None and len(path.read_bytes()) == len(content):
            return  # only a checksum shows a flipped bit
    with pytest.raises(
        InputError, match=f"^{re.escape(str(path))} {message}.*--overwrite"
    ) as error:
        read_tensor_file(path)
    assert "\n" not in str(error.value)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "layout",
    ["", "{}", '{"class": "os.system"}', '{"tensor": "other"}', '{"dict": [[[], 1]]}', "[" * 99999],
)
def test_a_crafted_layout_is_refused(tmp_path, layout):
    path = tmp_path / "state.safetensors"
    save_file({"w": torch.ones(2)}, path, {"auxfold": layout})
    with pytest.raises(InputError, match="is damaged or of another form"):
        read_tensor_file(path)
    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(InputError, match="is damaged or of another form"):
        read_tensor_file(path)


def test_no_pickle_is_executed_anywhere():
    """What torch loads from a file are weights only, and nothing else reads a pickle."""
    for path in SOURCES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"weights_only\s*=\s*False|allow_pickle\s*=\s*True", text), path
        assert not re.search(r"\b(c?[pP]ickle|joblib|dill)\.(load|loads|Unpickler)\b", text), path
        for call in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in call, (path, call)
