"""Sources of settings besides flags: the environment first, then the TOML file.

Cyclopts calls each layer with the arguments of the command that runs; a layer only fills in values
that no earlier one has given. Every command knows every setting's name, and takes those it has.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection, CycloptsError, Token

from audio_server.files.home import expanded
from audio_server.files.small_file import read_small, text_of
from audio_server.settings import LimitSettings, Settings

PREFIX = "AUDIO_SERVER_"
TABLE = "limits"
NAMED = ("groups", "devices")
"""Tables of settings of single groups and devices."""

NAMES = frozenset(
    [setting.name for setting in fields(Settings) if setting.name != TABLE]
    + [f"{TABLE}.{limit.name}" for limit in fields(LimitSettings)]
)
"""The settings as they are written in the file, those of a table after its name and a dot."""

FILE_MAX_BYTES = 1024 * 1024

LISTS = frozenset({"trusted_proxies", "live"})
"""Settings that may be written as lists in the file."""

TABLES = frozenset({"live_sources"})
"""Settings that may be written as tables in the file, each value a text without blanks."""

SWITCHES = frozenset({"record"})
"""Settings that are true or false."""

ASKING = frozenset({"url", "http_token", "http_token_file", "cafile"})
"""Variables that are not for the server but for the commands that ask it."""

VARIABLES = {PREFIX + name.upper().replace(".", "_"): name for name in NAMES | ASKING | {"config"}}


def no_table(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse a value for a whole table, which Cyclopts would give to the first setting in it."""
    table = arguments.get(f"--{TABLE}", None)
    if table is not None and table.tokens:
        raise CycloptsError(msg=f"--{TABLE} needs a name, as in --{TABLE}.max-streams.")


def environment(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Settings from `AUDIO_SERVER_...`; one that is no setting's name is an error.

    An empty variable counts as unset: Compose, Kubernetes and service files leave those behind.
    """
    for variable, value in sorted(os.environ.items()):
        if not value:
            continue
        if variable in VARIABLES:
            _fill(arguments, VARIABLES[variable], value, variable)
        elif variable.startswith(PREFIX):
            raise CycloptsError(msg=f"Unknown environment variable: {variable}.")


def toml_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Settings from the file that `--config` or `AUDIO_SERVER_CONFIG` names, if one does.

    Not by the library's own layer: it has no bound on the file, knows no other encoding and no
    pipe, and would refuse all settings but those of the command that runs.
    """
    config = arguments.get("--config", None)
    if config is None or not config.tokens or not config.tokens[-1].value:
        return
    try:
        path = expanded(config.tokens[-1].value)
    except ValueError as error:
        raise CycloptsError(msg=f"Invalid value for --config: {error}.") from None
    for name, value in _read(path).items():
        _fill(arguments, name, value, f"{name} in {path}")


def _fill(arguments: ArgumentCollection, name: str, value: str, origin: str) -> None:
    """Give an argument its value, if the command has it and no earlier layer did; `origin` is
    the source that an error will name."""
    argument = arguments.get("--" + name.replace("_", "-"), None)
    if argument is not None and not argument.tokens:
        argument.append(Token(keyword=origin, value=value))


def _read(path: Path) -> dict[str, str]:
    """The file's keys, all of them names of settings, and their values as on a command line."""
    try:
        content = tomllib.loads(text_of(read_small(path, FILE_MAX_BYTES, pipes=True)))
    except UnicodeDecodeError:
        raise CycloptsError(msg=f"{path}: not a TOML file: it is not UTF-8.") from None
    except RecursionError:
        raise CycloptsError(msg=f"{path}: not a TOML file: it is nested too deeply.") from None
    except ValueError as error:
        raise CycloptsError(msg=f"{path}: not a TOML file: {error}") from error
    if any(table in content for table in NAMED):
        check_named(path, content)
    settings = {name: value for name, value in _flat(content) if name not in NAMED}
    for name in settings:
        if name not in NAMES:
            raise CycloptsError(msg=f"{path}: unknown setting: {name}.")
    return {name: _text(path, name, value) for name, value in settings.items()}


def check_named(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse wrong tables of groups and devices, which the server reads by itself."""
    from audio_server.groups.tables import BadTable, tables_of

    try:
        tables_of(content)
    except BadTable as error:
        raise CycloptsError(msg=f"{path}: {error}.") from None
    if not path.is_file():
        raise CycloptsError(msg=f"{path}: groups and devices need a file that can be read again.")


def _flat(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if name == TABLE and isinstance(value, dict):
            yield from ((f"{TABLE}.{limit}", inner) for limit, inner in value.items())
        else:
            yield name, value


def _text(path: Path, name: str, value: Any) -> str:
    """A plain value, or the parts of a rate or a list."""
    if name in TABLES and isinstance(value, dict):
        value = " ".join(f"{key}={one}" for key, one in value.items())
    if name in SWITCHES and isinstance(value, bool):
        return str(value).lower()
    has_parts = name in LISTS or name.startswith(TABLE)
    parts = value if isinstance(value, list) and has_parts else [value]
    if any(not isinstance(part, str | int | float) or isinstance(part, bool) for part in parts):
        raise CycloptsError(msg=f"{path}: invalid value for {name}: {value}.")
    return ",".join(map(str, parts))
