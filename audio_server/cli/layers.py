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

from cyclopts import App, ArgumentCollection, CycloptsError
from cyclopts.config import Dict, Env

from audio_server.settings import Settings

PREFIX = "AUDIO_SERVER_"
NAMES = frozenset(setting.name for setting in fields(Settings))
VARIABLES = frozenset(PREFIX + name.upper() for name in NAMES | {"config"})

_environment = Env(PREFIX, command=False, show=False, source="the environment")


def environment(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Settings from `AUDIO_SERVER_...`; one that is no setting's name is an error."""
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in VARIABLES:
            raise CycloptsError(msg=f"Unknown environment variable: {variable}.")
    _environment(app, commands, arguments)


def toml_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Settings from the file that `--config` or `AUDIO_SERVER_CONFIG` names, if one does."""
    config = arguments.get("--config")
    if config is None or not config.tokens:
        return
    path = Path(config.tokens[-1].value).expanduser()
    read = _read(path).items()
    mine = {name: value for name, value in read if arguments.get(_flag(name), None)}
    Dict(mine, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


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
