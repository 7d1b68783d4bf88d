"""Nested values with tensors in a safetensors file: reading one cannot run code, as a pickle can.

The tensors are the file's, and everything else is JSON in its header. Any program that reads
safetensors reads the tensors.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open

from auxfold.errors import InputError
from auxfold.storage.checksums import FAST_ALGORITHM, atomic_write_checked, check_file

_REMEDY = "put it back from a copy, or give --overwrite to start again"
_LAYOUT = "auxfold"  # the key of the header that holds everything but the tensors
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_tensor_file(path: Path, content: Any) -> None:
    """Write nested dictionaries, lists and tuples of tensors, numbers, strings, None and bools.

    Raises:
        InputError: the disk is full.
        TypeError: a value of another type.
    """
    tensors: dict[str, torch.Tensor] = {}
    layout = json.dumps(_encode(content, "", tensors))
    size = len(layout) + sum(tensor.nbytes for tensor in tensors.values())

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            _write_safetensors(file, tensors, {_LAYOUT: layout})

    atomic_write_checked(path, write, size, FAST_ALGORITHM)


def read_tensor_file(path: Path, device: torch.device | str = "cpu") -> Any:
    """What :func:`write_tensor_file` wrote, with the tensors on a device.

    Raises:
        InputError: the file is missing, damaged, or of another form.
    """
    check_file(path, _REMEDY)
    try:
        with safe_open(path, framework="pt") as file:
            layout = json.loads(file.metadata()[_LAYOUT])
            # A copy: else the tensors stay in the file, which is mapped into memory.
            tensors = {k: file.get_tensor(k).to(device, copy=True) for k in file.keys()}  # noqa: SIM118
        return _decode(layout, tensors)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {_REMEDY}") from None
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged or of another form ({type(error).__name__}); {_REMEDY}"
        ) from error


def _encode(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The value as JSON, in which a tensor is its name; adds the tensors by name."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):  # whose keys may be numbers
        pairs = [[key, _encode(item, f"{name}/{key}", tensors)] for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{name}/{number}", tensors) for number, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    return value


def _decode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in content)
    if kind == "dict":
        return {key: _decode(item, tensors) for key, item in content}
    raise ValueError(f"unknown kind {kind!r}")


def _write_safetensors(
    file: BinaryIO, tensors: dict[str, torch.Tensor], metadata: dict[str, str]
) -> None:
    """Write the format of safetensors, one tensor after the other.

    The library's ``save_file`` first copies all tensors of a GPU into the memory of its host, which
    may be too small for weights, moments and averages together.
    """
    # The largest numbers first, so that all tensors are aligned.
    names = sorted(tensors, key=lambda name: -tensors[name].element_size())
    header: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for name in names:
        tensor = tensors[name]
        stop = start + tensor.nbytes
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    encoded = json.dumps(header).encode("utf-8")
    encoded += b" " * (-len(encoded) % 8)
    file.write(struct.pack("<Q", len(encoded)) + encoded)
    for name in names:
        content = tensors[name].detach().cpu().contiguous().reshape(-1)
        file.write(content.view(torch.uint8).numpy().data)
