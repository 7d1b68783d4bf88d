"""Options that several benchmarks share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from auxfold.errors import InputError
from benchmarks.record import RECORDS


def make_parser(kind: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The parser of a benchmark, with the options that all of them have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {kind}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--repetitions", type=int, default=5, help="of every way; medians count")
    parser.add_argument("--seed", type=int, default=0, help="of generated rows and weights")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--no-table", action="store_true", help="leave docs/results/speed.md as it is"
    )
    return parser


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Backbone, rows and device, of benchmarks that run a model."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--backbone",
        metavar="NAME_OR_PATH",
        help="a folder, a hub name or embedded; by default --random minilm",
    )
    group.add_argument(
        "--random",
        metavar="NAME",
        help="random weights of a published size: bert-base, roberta-base, deberta-v3-base, "
        "modernbert-base, smollm2-135m, qwen3-0.6b, minilm, or tiny to try a command",
    )
    parser.add_argument("--texts", metavar="FILE", help="real texts; by default generated ones")
    parser.add_argument("--text-column", default="text", help="of --texts; default: %(default)s")
    parser.add_argument(
        "--mean-tokens", type=float, default=50.0, help="of generated rows; default: %(default)s"
    )
    parser.add_argument("--max-length", type=int, default=220, help="tokens; default: %(default)s")
    parser.add_argument("--pooling", choices=["mean", "cls"], default="mean", help="of auxfold")
    parser.add_argument(
        "--precision",
        choices=["auto", "bf16", "fp16", "fp32"],
        default="auto",
        help="number format of auxfold; default: %(default)s",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    parser.add_argument(
        "--dropout", choices=["on", "off"], default="on", help="the backbone's own dropout"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of auxfold's experiment, such as model.attention=sdpa; repeatable",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], help="by default cuda where it is")


@dataclass(frozen=True)
class Backbone:
    """What is measured.

    Attributes:
        name: for tables.
        path: a folder or a hub name.
    """

    name: str
    path: str


def resolve_backbone(args: argparse.Namespace) -> Backbone:
    """The backbone that the options name; one of random weights is written if missing.

    Raises:
        InputError: there is no such random backbone.
    """
    from auxfold.model.reference import backbone_path
    from benchmarks.backbones import RANDOM_BACKBONES, random_backbone

    if args.backbone is not None:
        path = backbone_path(args.backbone)
        path = str(Path(path).resolve()) if Path(path).is_dir() else path
        return Backbone(args.backbone.rstrip("/").split("/")[-1], path)
    name = args.random or "minilm"
    if name not in RANDOM_BACKBONES:
        raise InputError(f"--random {name}; expected is one of {', '.join(RANDOM_BACKBONES)}")
    folder = random_backbone(name, (RECORDS / "backbones").resolve())
    return Backbone(f"{name} (random)", folder)


def resolve_device(args: argparse.Namespace) -> torch.device:
    """The device that the options name.

    Raises:
        InputError: cuda without a CUDA device.
    """
    has_cuda = torch.cuda.is_available()
    if args.device == "cuda" and not has_cuda:
        raise InputError("--device cuda, but torch finds no CUDA device; leave the option out")
    return torch.device(args.device or ("cuda" if has_cuda else "cpu"))


def load_texts(args: argparse.Namespace, tokenizer: Any, n_rows: int) -> list[str]:
    """The texts of ``--texts``, or generated ones."""
    from benchmarks.rows import generate_rows, read_texts

    if args.texts is not None:
        return read_texts(args.texts, args.text_column, n_rows, args.seed)
    return generate_rows(n_rows, tokenizer, args.mean_tokens, args.max_length, args.seed)
