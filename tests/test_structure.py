"""The rules for the shape of the code: layers, mirrored tests, names, and size of packages."""

from __future__ import annotations

import ast
import graphlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "auxfold"
TESTS = ROOT / "tests"

# From top to bottom. A package imports from its own layer and from lower ones, never from a higher
# one. The files at the root of the package (`auxfold.load`, `python -m auxfold`) may import any.
LAYERS = [
    {"cli"},
    {"kaggle", "quickstart", "datasets"},
    {"training"},
    {"inference"},
    {"report"},
    {"evaluation", "blending"},
    {"fairness", "postprocessing"},
    {"model"},
    {"tasks"},
    {"data"},
    {"storage", "tracking"},
    {"config"},
    {"errors"},
]
ROOT_MODULES = {"__init__", "__main__", "errors"}
MAX_SHARE = 0.15  # of the package's lines
CATCH_ALL_MODULES = {"utils", "util", "helpers", "helper", "misc", "common"}

# Names that do not say what a value is.
RETIRED_NAMES = {
    "told", "made", "given", "own", "turned", "seen", "wanted", "look_again", "as_it_stands",
    "found", "one", "place", "kept",
}  # fmt: skip
LIBRARY_NAMES = {("hypothesis", "given")}  # `module.name` of a library, which cannot be renamed

# Folders of tests that go through the commands.
OF_ALL_MODULES = (("end_to_end",), ("fixtures",), ("reliability",))
# Tests without a module of their own: this file.
TESTS_OF_NO_MODULE = {"test_docs.py", "test_structure.py"}


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def package_files() -> tuple[Path, ...]:
    return tuple(sorted(PACKAGE.rglob("*.py")))


def module_name(path: Path) -> str:
    """``auxfold.tasks.binary`` of its file; a package is named like its ``__init__.py``."""
    parts = ("auxfold", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    """``tasks`` of ``auxfold.tasks.binary``; the empty string for the root of the package."""
    return module.split(".")[1] if "." in module else ""


@cache
def imports() -> tuple[tuple[str, str, str], ...]:
    """Every import within the package as (importing module, imported module, ``file:line``).

    Imports inside functions and under ``TYPE_CHECKING`` count. Python runs ``auxfold/__init__.py``
    for every import, so a plain ``import auxfold`` (for its version or its folder) does not.
    """
    modules = {module_name(path) for path in package_files()}
    edges = []
    for path in package_files():
        module = module_name(path)
        for node in ast.walk(parse(path)):
            for target in imported_modules(node, path, modules):
                where = f"{path.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]
                if target not in (module, "auxfold"):
                    edges.append((module, target, where))
    return tuple(edges)


def imported_modules(node: ast.AST, path: Path, modules: set[str]) -> Iterator[str]:
    """The modules of the package that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in modules)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = ("auxfold", *path.parent.relative_to(PACKAGE).parts)
            parents = package[: len(package) - node.level + 1]
            base = ".".join([*parents, node.module] if node.module else parents)
        for alias in node.names:
            submodule = f"{base}.{alias.name}"
            if submodule in modules:
                yield submodule
            elif base in modules:
                yield base


def find_cycle(edges: set[tuple[str, str]]) -> str | None:
    """One circle of imports as text, or None."""
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for importer, imported in sorted(edges):
        sorter.add(importer, imported)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        return " <- ".join(error.args[1])
    return None


def assert_none(problems: list[str], rule: str) -> None:
    assert not problems, f"{rule}:\n  " + "\n  ".join(problems)


def test_no_package_imports_a_higher_layer():
    level = {package: number for number, layer in enumerate(LAYERS) for package in layer}
    packages = {package_of(module_name(path)) for path in package_files()} - {"", "__main__"}
    unknown = sorted(packages - level.keys())
    assert_none(unknown, "packages that have no layer; add them to LAYERS")
    problems = [
        f"{where}: {importer} imports {imported}"
        for importer, imported, where in imports()
        if package_of(importer) in level
        and level[package_of(imported)] < level[package_of(importer)]
    ]
    assert_none(
        problems, "a package imports a higher one; move the code to where both can import it"
    )


def test_packages_and_modules_import_each_other_without_a_circle():
    between_packages = {
        (package_of(importer), package_of(imported))
        for importer, imported, _ in imports()
        if package_of(importer) not in ("", "__main__", package_of(imported))
    }
    circle = find_cycle(between_packages)
    assert circle is None, f"packages import each other in a circle: {circle}"
    circle = find_cycle({(importer, imported) for importer, imported, _ in imports()})
    assert circle is None, f"modules import each other in a circle: {circle}"


def test_tests_mirror_the_modules():
    problems = []
    for path in sorted(TESTS.rglob("test_*.py")):
        folder = path.relative_to(TESTS).parent
        if folder.parts[:1] in OF_ALL_MODULES or path.name in TESTS_OF_NO_MODULE:
            continue
        in_benchmarks = folder.parts[:1] == ("benchmarks",)
        source = ROOT / folder if in_benchmarks else PACKAGE / folder
        words = path.stem.removeprefix("test_").split("_")
        candidates = ["_".join(words[:n]) for n in range(len(words), 0, -1)]
        files = [source / f for name in candidates for f in (f"{name}.py", f"{name}/__init__.py")]
        if not any(file.is_file() for file in files):
            problems.append(
                f"{path.relative_to(ROOT)}: no module {source.relative_to(ROOT)}/"
                f"{candidates[0]}.py, nor one that its name starts with"
            )
    assert_none(
        problems, "tests/<package>/test_<module>[_aspect].py belongs to a module of src/auxfold"
    )


def identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that the code defines or uses, with its line; strings and comments are none."""
    for node in ast.walk(tree):
        field = NAME_FIELDS.get(type(node))
        if field is None or is_library_name(node):
            continue
        value = getattr(node, field)
        names = value if isinstance(value, list) else [value]
        yield from ((name, getattr(node, "lineno", 0)) for name in names if name is not None)


# Where each kind of syntax holds a name.
NAME_FIELDS: dict[type[ast.AST], str] = {
    ast.Name: "id",
    ast.Attribute: "attr",
    ast.arg: "arg",
    ast.keyword: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.alias: "asname",
    ast.Global: "names",
    ast.Nonlocal: "names",
}


def is_library_name(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in LIBRARY_NAMES
    )


def test_no_identifier_is_a_retired_name():
    problems = []
    for folder in (ROOT / "src", ROOT / "scripts", ROOT / "benchmarks", TESTS):
        for path in sorted(folder.rglob("*.py")):
            names: dict[tuple[int, str], None] = {}
            for name, line in identifiers(parse(path)):
                if name.lstrip("_") in RETIRED_NAMES:
                    names[line, name] = None
            problems += [f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in sorted(names)]
    assert_none(problems, "names that do not say what the value is; take the noun")


def test_no_package_is_a_large_part_of_the_whole():
    lines: Counter[str] = Counter()
    for path in package_files():
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        lines[package_of(module_name(path))] += n_lines
    problems = [
        f"{package}: {count:,} of {lines.total():,} lines, {count / lines.total():.1%}"
        for package, count in lines.most_common()
        if count > MAX_SHARE * lines.total()
    ]
    assert_none(problems, f"a package holds more than {MAX_SHARE:.0%} of the lines; divide it")


def test_only_entry_points_and_errors_are_at_the_root_of_the_package():
    names = {path.stem for path in PACKAGE.glob("*.py")}
    problems = sorted(names - ROOT_MODULES)
    assert_none(
        problems, "modules at the root of src/auxfold; move each to the package of its subject"
    )


def test_no_module_is_a_catch_all():
    problems = [
        str(path.relative_to(ROOT))
        for path in package_files()
        if CATCH_ALL_MODULES & set(path.relative_to(PACKAGE).with_suffix("").parts)
    ]
    assert_none(problems, "a function belongs to the module of its subject")


def test_the_rules_notice_what_they_forbid():
    """Each parser on a small example: a rule that sees nothing would never fail."""
    modules = {"auxfold", "auxfold.tasks", "auxfold.tasks.binary", "auxfold.errors"}
    code = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from auxfold.tasks import binary
def load():
    import auxfold.errors
    from . import binary
    from ..errors import InputError
    from auxfold.tasks import KINDS
"""
    path = PACKAGE / "tasks" / "example.py"
    targets = [
        target
        for node in ast.walk(ast.parse(code))
        for target in imported_modules(node, path, modules)
    ]
    assert sorted(targets) == [
        "auxfold.errors", "auxfold.errors",
        "auxfold.tasks", "auxfold.tasks.binary", "auxfold.tasks.binary",
    ]  # fmt: skip
    assert find_cycle({("a", "b"), ("b", "c")}) is None
    assert find_cycle({("a", "b"), ("b", "c"), ("c", "a")}) is not None
    code = """
import hypothesis
import numpy as one
@hypothesis.given(x=1)
def _told(made, *, place=2):
    self.seen = f"{found}"
    call(wanted=1)
    "given kept"
"""
    names = {name.lstrip("_") for name, _ in identifiers(ast.parse(code))}
    assert names & RETIRED_NAMES == {"one", "told", "made", "place", "seen", "found", "wanted"}
