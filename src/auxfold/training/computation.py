"""How a fold was computed: everything but seeds and data that decides about the last bits."""

from __future__ import annotations

import os
from typing import Any

import torch

from auxfold.model.allocator import describe_allocator
from auxfold.model.fast.regions import are_compiled
from auxfold.training.build import FoldParts


def describe_computation(parts: FoldParts) -> dict[str, Any]:
    """Threads, allocator, determinism and fast paths, for ``run.json``.

    Sums over rows are divided among the threads, and floating-point addition depends on the order,
    so that one and two threads differ in the last bit.

    Args:
        parts: of the fold.
    """
    stepper, runner = parts.stepper, parts.runner
    device_type = stepper.accelerator.device.type
    return {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "matrix_products": _matrix_products(device_type),
        "allocator": describe_allocator(device_type),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "max_tokens_per_batch": stepper.splitter.max_tokens,
        "fast_paths": {
            "attention": getattr(parts.model.backbone.config, "_attn_implementation", None),
            "padding_free": stepper.splitter.padding_free,
            "cuda_graphs": runner.graphs is not None,
            "compiled": are_compiled(),
            "bit_dropout": device_type == "cpu",
        },
    }


def _matrix_products(device_type: str) -> dict[str, Any]:
    """What computes them, and how it is set."""
    if device_type == "cuda":
        return {
            "gpu": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "fp32_precision": torch.get_float32_matmul_precision(),
            "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        }
    libraries = {"onednn": torch.backends.mkldnn, "mkl": torch.backends.mkl}
    return {name: library.is_available() for name, library in libraries.items()}
