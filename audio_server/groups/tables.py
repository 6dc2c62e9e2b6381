"""The tables `[groups.NAME]` and `[devices.ID]` of the settings file, checked.

Each error is one line: the setting, by its place in the file, and the values that it may have.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from audio_server.errors import SetupError
from audio_server.files.home import expanded
from audio_server.files.small_file import read_small, text_of
from audio_server.groups.overrides import NAMES, Overrides, Tables
from audio_server.names import BadName, checked_tag
from audio_server.settings.values import (
    BRIGHTNESS_MAX,
    BRIGHTNESS_MIN,
    LEAD_MS_MAX,
    LEAD_MS_MIN,
)
from audio_server.wire.device_ids import FORM, is_device_id

GROUPS, DEVICES = "groups", "devices"

FILE_MAX_BYTES = 1024 * 1024

GROUPS_MAX = 256
"""Groups with settings of their own: each may have a folder of clips."""

VALUES: Mapping[str, str] = {
    "clips": "a path of a folder",
    "lead_ms": f"a whole number from {LEAD_MS_MIN} to {LEAD_MS_MAX}",
    "play_while_playing": "restart, ignore or queue",
    "mode_while_playing": "keep, stop or switch",
    "stop_goes": "home or keep",
    "led_brightness": f"a whole number from {BRIGHTNESS_MIN} to {BRIGHTNESS_MAX}",
}


class BadTable(ValueError):
    """A table is wrong; `str()` is one line about it."""


def tables_of(content: Mapping[str, Any]) -> Tables:
    """Return the tables in the content of a settings file. Raises `BadTable`."""
    groups = _table(content, GROUPS, _tag)
    if len(groups) > GROUPS_MAX:
        raise BadTable(f"{GROUPS}: {len(groups)} groups, but at most {GROUPS_MAX} have settings")
    return Tables(groups=groups, devices=_table(content, DEVICES, _device_id))


def merged(in_file: Tables, kept: Mapping[str, Overrides]) -> Tables:
    """A group of the file counts in the place of a kept one of its name."""
    return Tables(groups={**kept, **in_file.groups}, devices=in_file.devices)


def tables_by_path(tables: Tables) -> dict[str, str]:
    """Return each folder that is named, with the first of the tables that name it."""
    named = [(own.clips, f"{GROUPS}.{name}") for name, own in tables.groups.items()]
    named += [(own.clips, f"{DEVICES}.{name}") for name, own in tables.devices.items()]
    return {path: table for path, table in reversed(named) if path is not None}


def paths_of(tables: Tables) -> set[str]:
    """Return the folders that settings name."""
    own = (*tables.groups.values(), *tables.devices.values())
    return {one.clips for one in own if one.clips is not None}


def read_tables(path: Path) -> Tables:
    """Return the tables of a settings file. Raises `SetupError`. Blocks."""
    try:
        return tables_of(tomllib.loads(text_of(read_small(path, FILE_MAX_BYTES))))
    except BadTable as error:
        raise SetupError(path, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise SetupError(path, f"not a TOML file: {error}") from error


def checked(where: str, values: object) -> Overrides:
    """Return the settings of a table. Raises `BadTable` for the first that is wrong."""
    if not isinstance(values, Mapping):
        raise BadTable(f"{where} must be a table: [{where}]")
    for name, value in values.items():
        if name not in NAMES:
            raise BadTable(f"{where}: unknown setting: {name}; there are {', '.join(NAMES)}")
        try:
            if value is None:
                raise ValueError
            msgspec.convert({name: value}, Overrides)
            if name == "clips":
                expanded(value)
        except (ValueError, TypeError):
            raise BadTable(f"{where}.{name} must be {VALUES[name]}") from None
    return msgspec.convert(values, Overrides)


def _table(
    content: Mapping[str, Any], table: str, named: Callable[[str], str]
) -> dict[str, Overrides]:
    tables = content.get(table, {})
    if not isinstance(tables, Mapping):
        raise BadTable(f"{table} must be tables: [{table}.NAME]")
    found: dict[str, Overrides] = {}
    for key, values in tables.items():
        name = named(key)
        if name in found:
            raise BadTable(f"{table}.{key}: {name} is there twice")
        found[name] = checked(f"{table}.{key}", values)
    return found


def _tag(text: str) -> str:
    try:
        return checked_tag(text)
    except BadName as error:
        raise BadTable(f"{GROUPS}: {error}") from error


def _device_id(text: str) -> str:
    if not is_device_id(text):
        raise BadTable(f'{DEVICES}: "{text}": a device id is {FORM}')
    return text
