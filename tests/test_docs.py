"""The documentation builds without a warning, and what it names exists."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from auxfold.cli.commands import NAMES, module_name
from auxfold.config.keys import list_sections
from auxfold.storage.records import SCHEMA
from auxfold.storage.run_folder import FoldFolder, RunFolder
from forked import run_forked

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "auxfold"
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*put*/README.md")]
    if path.name != "CHANGELOG.md"  # which names what was renamed
)
MAX_README_LINES = 150
TABLES_OF_COLUMNS = {"rename", "fields", "columns", "labels"}  # whose keys are columns of a file

sys.path.append(str(DOCS / "_ext"))


def code_blocks(page: Path, *languages: str) -> list[str]:
    """The code blocks of a page in one of these languages."""
    blocks = re.findall(r"^( *)```(\w+)\n(.*?)^\1```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for _, language, text in blocks if language in languages]


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    process = run_forked([*command, DOCS, tmp_path])
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "reference" / "commands.html").is_file()


def tree_modules(text: str) -> Iterator[str]:
    """The paths of a tree: two spaces a level, a folder ends with a slash, then a comment."""
    folders: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name)
        else:
            yield "".join([*folders[1:], name])


def test_the_architecture_lists_every_module():
    tree = next(b for b in code_blocks(DOCS / "explanation/architecture.md", "text")
                if b.startswith("src/auxfold/"))  # fmt: skip
    listed = list(tree_modules(tree))
    assert len(listed) == len(set(listed))
    modules = {str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if p.stat().st_size}
    packages = {m for m in modules if m.endswith("__init__.py") and m != "__init__.py"}
    assert set(listed) == modules - packages
    lines = [line for line in tree.splitlines() if line.strip()]
    assert not [line for line in lines[1:] if len(line.split()) < 2], "a file without a comment"


def test_the_page_of_commands_has_every_command():
    page = (DOCS / "reference" / "commands.md").read_text()
    assert re.findall(r"```\{command\} (\S+)\n```", page) == NAMES


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    paths = [target.split("#")[0] for target in targets if "://" not in target]
    missing = [path for path in paths if path and not (page.parent / path).exists()]
    assert not missing


@cache
def known_options(script: str) -> frozenset[str]:
    """The options of ``scripts/<script>``, without those that are refused by their old name."""
    from auxfold_docs import load_parser

    parser = load_parser(f"auxfold.cli.{script.removesuffix('.py')}", script)
    options = parser._option_string_actions.items()
    return frozenset(name for name, action in options if action.help != argparse.SUPPRESS)


def script_calls(page: Path) -> Iterator[list[str]]:
    """The words of every call of a script in a page's shell blocks."""
    for block in code_blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;|\bdo\b", line):
                if match := re.match(
                    r"\s*(?:accelerate launch|python) scripts/(\S+\.py)(.*)", part
                ):
                    yield [match[1], *shlex.split(match[2], comments=True)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page):
    for script, *words in script_calls(page):
        assert script.removesuffix(".py") in {module_name(name) for name in NAMES}, script
        options = {word.split("=")[0] for word in words if re.match(r"--[a-z]", word)}
        assert options <= known_options(script), (script, options - known_options(script))


def known_keys() -> set[str]:
    """The dotted paths of all keys, and of all sections."""
    sections = list_sections()
    return {key.path for s in sections for key in s.keys} | {s.path for s in sections}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_configuration_keys_exist(page):
    known = known_keys()
    named = [
        path for block in code_blocks(page, "toml") for path in key_paths(tomllib.loads(block))
    ]
    # `--set` and variants: tasks and sources are addressed by their name.
    for block in code_blocks(page, "bash"):
        for path in re.findall(r"(?<![\w.])([a-z]+(?:\.\w+)+)=", block):
            parts = path.split(".")
            is_task = parts[0] == "tasks" and len(parts) > 2
            named.append(f"tasks.{parts[2]}" if is_task else path)
    # In prose: `train.epochs`, with or without a value.
    sections = "data|folds|model|train|selection|inference|tracking|task_weighting|sample_weights"
    named += re.findall(
        rf"`((?:{sections})\.(?!py|toml|csv|tsv|parquet|json|jsonl|safetensors)\w+)\b",
        page.read_text(),
    )
    assert not [path for path in named if path not in known]


def key_paths(raw: dict, prefix: str = "") -> Iterator[str]:
    """The dotted path of every key of an experiment file."""
    for key, value in raw.items():
        path = f"{prefix}.{key}" if prefix else key
        yield path
        tables = value if isinstance(value, list) else [value]
        for table in (t for t in tables if isinstance(t, dict) and key not in TABLES_OF_COLUMNS):
            yield from key_paths(table, path)


def test_the_page_of_the_run_folder_names_the_schema_and_every_file():
    page = (DOCS / "reference" / "run_folder.md").read_text()
    assert f'"schema": {SCHEMA}' in page
    run, fold = RunFolder(Path("run")), FoldFolder(Path("run/fold_0"))
    names = {
        path.name
        for folder in (run, fold)
        for name, member in vars(type(folder)).items()
        if isinstance(member, property) and isinstance(path := getattr(folder, name), Path)
    }
    temporary = {"state.safetensors"}
    assert not [name for name in sorted(names - temporary) if name not in page]
