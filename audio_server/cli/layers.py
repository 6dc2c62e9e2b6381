"""Where settings come from besides flags: the environment first, then the TOML file.

Cyclopts calls each layer with the arguments of the command that runs; a layer only fills in what
no earlier one has given. Every command knows every setting's name, and takes those it has.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection, CycloptsError, Token

from audio_server.settings import Settings

PREFIX = "AUDIO_SERVER_"
NAMES = frozenset(setting.name for setting in fields(Settings))
ASKING = frozenset({"url", "http_token", "http_token_file", "cafile"})
"""What is not for the server but for the commands that ask it."""

VARIABLES = frozenset(PREFIX + name.upper() for name in NAMES | ASKING | {"config"})


def environment(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Settings from `AUDIO_SERVER_...`; one that is no setting's name is an error."""
    for variable, value in sorted(os.environ.items()):
        if variable in VARIABLES:
            _fill(arguments, variable.removeprefix(PREFIX).lower(), value, variable)
        elif variable.startswith(PREFIX):
            raise CycloptsError(msg=f"Unknown environment variable: {variable}.")


def toml_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Settings from the file that `--config` or `AUDIO_SERVER_CONFIG` names, if one does."""
    config = arguments.get("--config", None)
    if config is None or not config.tokens or not config.tokens[-1].value:
        return
    path = Path(config.tokens[-1].value).expanduser()
    for name, value in _read(path).items():
        _fill(arguments, name, str(value), f"{name} in {path}")


def _fill(arguments: ArgumentCollection, name: str, value: str, origin: str) -> None:
    """Give an argument its value, if the command has it and no earlier layer did; `origin` is
    what an error will name."""
    argument = arguments.get("--" + name.replace("_", "-"), None)
    if argument is not None and not argument.tokens:
        argument.append(Token(keyword=origin, value=value))


def _read(path: Path) -> dict[str, Any]:
    """The file's keys, all of them names of settings, all of them plain values."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CycloptsError(msg=f"{path}: not a TOML file: {error}") from error
    for name, value in settings.items():
        if name not in NAMES:
            raise CycloptsError(msg=f"{path}: unknown setting: {name}.")
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            raise CycloptsError(msg=f"{path}: invalid value for {name}: {value}.")
    return settings
