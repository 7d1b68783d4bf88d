"""W&B's switches and logins decide whether runs are online; the more private answer holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auxfold.tracking import wandb_mode
from auxfold.tracking.mode import describe_switch

KEY = "x" * 40


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Path:
    """An empty home and working directory, without any switch."""
    for name in os.environ:
        if name.startswith("WANDB_") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def write_settings(folder: Path, **values: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[default]", *(f"{key} = {value}" for key, value in values.items())]
    (folder / "settings").write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("setting", "variables", "expected"),
    [
        ("auto", {}, "offline"),
        ("auto", {"WANDB_API_KEY": KEY}, "online"),
        ("auto", {"WANDB_IDENTITY_TOKEN_FILE": "token"}, "online"),
        ("auto", {"WANDB_MODE": "online"}, "online"),
        ("auto", {"WANDB_MODE": "offline", "WANDB_API_KEY": KEY}, "offline"),
        ("auto", {"WANDB_MODE": "dryrun", "WANDB_API_KEY": KEY}, "offline"),
        ("auto", {"WANDB_MODE": "disabled", "WANDB_API_KEY": KEY}, "off"),
        ("auto", {"WANDB_MODE": "Disabled", "WANDB_API_KEY": KEY}, "off"),
        ("auto", {"WANDB_MODE": "of", "WANDB_API_KEY": KEY}, "off"),
        ("auto", {"WANDB_DISABLED": "true", "WANDB_API_KEY": KEY}, "off"),
        ("auto", {"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, "off"),
        ("auto", {"WANDB_DISABLED": "false", "WANDB_API_KEY": KEY}, "online"),
        ("auto", {"WANDB_DISABLED": "", "WANDB_API_KEY": KEY}, "online"),
        ("off", {"WANDB_MODE": "online"}, "off"),
        ("offline", {"WANDB_API_KEY": KEY}, "offline"),
        ("online", {}, "online"),
        ("online", {"WANDB_MODE": "offline"}, "offline"),
        ("online", {"WANDB_DISABLED": "yes"}, "off"),
        ("offline", {"WANDB_MODE": "disabled"}, "off"),
    ],
)
def test_variables(monkeypatch, setting, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wandb_mode(setting) == expected


@pytest.mark.parametrize(
    ("machine", "server", "expected"),
    [
        ("api.wandb.ai", None, "online"),
        ("wb.example.org", None, "offline"),
        ("wb.example.org", "https://wb.example.org", "online"),
        ("wb.example.org:8080", "http://wb.example.org:8080/", "online"),
        ("api.wandb.ai", "https://wb.example.org", "offline"),
    ],
)
@pytest.mark.parametrize("place_of_server", ["variable", "home", "folder"])
def test_a_login_counts_at_its_own_server(monkeypatch, home, machine, server, expected,
                                          place_of_server):  # fmt: skip
    netrc = home / ".netrc"
    netrc.write_text(f"machine {machine}\n login user\n password {KEY}\n")
    netrc.chmod(0o600)
    if server and place_of_server == "variable":
        monkeypatch.setenv("WANDB_BASE_URL", server)
    elif server:
        folder = home / ".config/wandb" if place_of_server == "home" else Path("wandb")
        write_settings(folder, base_url=server)
    assert wandb_mode("auto") == expected


def test_netrc_where_the_variable_says(monkeypatch, home):
    path = home / "keys"
    path.write_text(f"machine api.wandb.ai login user password {KEY}")
    assert wandb_mode("auto") == "offline"
    monkeypatch.setenv("NETRC", str(path))
    assert wandb_mode("auto") == "online"
    path.write_text("machine machine machine")
    assert wandb_mode("auto") == "offline", "a damaged file is no login"


def test_settings_files(monkeypatch, home):
    """Those that ``wandb offline`` and ``wandb disabled`` write; a variable precedes them."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    write_settings(home / ".config/wandb", mode="offline")
    assert wandb_mode("auto") == "offline"
    write_settings(Path("wandb"), mode="disabled")
    assert wandb_mode("auto") == "off", "the folder's settings precede"
    assert describe_switch("online") == (
        "W&B is off because of W&B's settings file with mode=disabled"
    )
    monkeypatch.setenv("WANDB_MODE", "online")
    assert wandb_mode("auto") == "online"
    monkeypatch.delenv("WANDB_MODE")
    (Path("wandb") / "settings").write_text("no section")
    assert wandb_mode("auto") == "offline", "a damaged file is left out"
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(home / "elsewhere"))
    assert wandb_mode("auto") == "online"
