"""Whether runs go to Weights & Biases: the setting, W&B's own switches, and where a login is.

The switches are those of the ``wandb`` package, that is ``WANDB_MODE`` and its settings files, and
``WANDB_DISABLED``, which Hugging Face's Trainer reads and Kaggle notebooks set.
"""

from __future__ import annotations

import configparser
import os
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

Mode = Literal["online", "offline", "off"]
_FROM_OPEN_TO_PRIVATE: tuple[Mode, ...] = ("online", "offline", "off")
_MODES: dict[str, Mode] = {  # the values of WANDB_MODE and of `mode` in a settings file
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "off",
}
_FALSE = {"", "0", "f", "false", "n", "no", "off"}
_DEFAULT_SERVER = "https://api.wandb.ai"


class _Switch(NamedTuple):
    """What the environment says: the mode, and where it says so."""

    mode: Mode
    source: str
    is_known: bool = True


def wandb_mode(setting: Mode | Literal["auto"]) -> Mode:
    """The mode of runs.

    Args:
        setting: ``tracking.wandb``. ``auto`` follows W&B's switches; without one, it is online
            where there is a login at the server, else offline. Of another setting and a switch the
            more private one holds.
    """
    switch = _read_switch()
    if setting == "auto":
        return switch.mode if switch else "online" if _has_login() else "offline"
    return max(setting, switch.mode, key=_FROM_OPEN_TO_PRIVATE.index) if switch else setting


def describe_switch(setting: Mode | Literal["auto"]) -> str | None:
    """Why the mode is not the one of the settings, or that a switch has no known value."""
    switch, mode = _read_switch(), wandb_mode(setting)
    if switch is None or (switch.is_known and setting in ("auto", mode)):
        return None
    hint = "" if switch.is_known else f", which is none of {', '.join(_MODES)}"
    return f"W&B is {mode} because of {switch.source}{hint}"


def _read_switch() -> _Switch | None:
    """The first switch that is set: WANDB_DISABLED, WANDB_MODE, the mode in a settings file."""
    disabled = os.environ.get("WANDB_DISABLED", "")
    if disabled.lower() not in _FALSE:
        return _Switch("off", f"WANDB_DISABLED={disabled}")
    value, name = os.environ.get("WANDB_MODE", ""), "WANDB_MODE"
    if not value:
        value, name = _read_settings().get("mode", ""), "W&B's settings file with mode"
    if not value:
        return None
    mode = _MODES.get(value.lower())
    # A misspelled switch was most probably meant to switch something off.
    return _Switch(mode or "off", f"{name}={value}", mode is not None)


def _has_login() -> bool:
    """Whether a variable, a settings file or netrc holds a key for the server."""
    settings = _read_settings()
    variables = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    if any(os.environ.get(name) for name in variables) or settings.get("api_key"):
        return True
    server = os.environ.get("WANDB_BASE_URL") or settings.get("base_url") or _DEFAULT_SERVER
    files = [Path.home() / name for name in (".netrc", "_netrc")]
    default = next((file for file in files if file.is_file()), files[0])
    path = Path(os.environ.get("NETRC") or default).expanduser()
    try:
        return netrc(path).authenticators(urlsplit(server).netloc) is not None
    except (OSError, NetrcParseError):
        return False


def _read_settings() -> dict[str, str]:
    """What ``wandb login``, ``wandb offline`` and ``wandb disabled`` stored; the folder's first."""
    config = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    here = Path(os.environ.get("WANDB_DIR") or ".")
    folder = here / (".wandb" if (here / ".wandb").exists() else "wandb")
    parser = configparser.ConfigParser(interpolation=None)
    for path in (config / "settings", folder / "settings"):
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # wandb reports it
    return dict(parser["default"]) if "default" in parser else {}
