"""``auxfold``: the list of commands, the version, and how a command is named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import auxfold
from auxfold.cli.commands import COMMANDS, NAMES
from auxfold.cli.main import main
from auxfold.errors import InputError
from commands import SCRIPTS, command_line, refusal_of, run_command

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command_by_the_order_of_the_work(arguments, capsys):
    main(argv=arguments)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: auxfold COMMAND [options]"
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == NAMES
    assert [line[:-1] for line in lines if line.endswith(":")] == list(COMMANDS)
    for command in NAMES:
        assert sum(line.startswith(f"  {command} ") for line in lines) == 1


def test_the_version_is_that_of_the_package(capsys):
    main(argv=["--version"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr().out == f"auxfold {version}\n"
    assert auxfold.__version__ == version


def test_the_installed_command_calls_this_function():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"auxfold": "auxfold.cli.main:main"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [("trian", " (did you mean 'train'?)"), ("make_fold", " (did you mean 'make-folds'?)"),
     ("zzz", ""), ("--verbose", "")],
)  # fmt: skip
def test_an_unknown_command_is_one_line(name, hint, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv=[name, "--fold", "0"])
    assert stop.value.code == 2
    line = f"error: no command {name!r}{hint}; auxfold --help lists the commands\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("name", ["make-sample", "make_sample"])
def test_hyphens_and_underscores_name_the_same_command(name, tmp_path, capsys):
    folder = tmp_path / "sample"
    main(argv=[name, "--output", str(folder), "--rows", "120", "--test-rows", "100"])
    assert "train.csv: 120 rows" in capsys.readouterr().out
    assert (folder / "train.csv").is_file()


@pytest.mark.parametrize("command", NAMES)
def test_every_command_is_a_module_and_a_script_of_one_line(command):
    name = command.replace("-", "_")
    assert (ROOT / f"src/auxfold/cli/{name}.py").is_file()
    code = (SCRIPTS / f"{name}.py").read_text().splitlines()
    assert code[-1].strip() == f'main("{name}")' and len(code) <= 6


def test_usage_and_examples_are_those_of_the_call(tmp_path):
    by_module = run_command("train", "--help", cwd=tmp_path, is_module=True)
    assert by_module.startswith("usage: auxfold train [-h]")
    assert "\n  auxfold train --config configs/sample.toml --fold all --resume\n" in by_module
    assert "\n  accelerate launch -m auxfold train --config" in by_module
    assert "scripts/" not in by_module
    by_script = run_command("train", "--help", cwd=tmp_path)
    assert by_script.startswith("usage: train.py [-h]")
    assert "\n  python scripts/train.py --config configs/sample.toml --fold all" in by_script
    assert "\n  accelerate launch scripts/train.py --config" in by_script
    assert "auxfold train" not in by_script


def test_a_refusal_is_the_same_line_from_both(tmp_path):
    arguments = ("--config", "none.toml", "--fold", "0")
    line = refusal_of("train", *arguments, cwd=tmp_path)
    assert line == refusal_of("train", *arguments, cwd=tmp_path, is_module=True)
    assert line == "error: no experiment file none.toml; shipped ones: none here\n"


def test_an_interrupt_and_a_closed_pipe_have_their_exit_codes(monkeypatch, capsys):
    from auxfold.cli import make_sample

    def interrupt(argv: list[str]) -> None:
        raise KeyboardInterrupt

    def refuse(argv: list[str]) -> None:
        raise InputError("one\n  line")

    for function, code, error in (
        (interrupt, 130, "interrupted\n"), (refuse, 2, "error: one line\n"),
    ):  # fmt: skip
        monkeypatch.setattr(make_sample, "main", function)
        with pytest.raises(SystemExit) as stop:
            main("make_sample", [])
        assert stop.value.code == code and capsys.readouterr().err == error


def test_a_command_line_starts_this_python():
    assert command_line("train", is_module=True)[1:] == ["-m", "auxfold", "train"]
