"""Every setting as the documentation shows it, read from what the server itself reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import Argument

from audio_server.cli.app import app
from audio_server.cli.layers import NAMES, PREFIX, TABLE
from audio_server.settings.values import bounds_of

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


def settings_reference() -> str:
    """A section for each setting, in the order of the class; those of `[limits]` have a table."""
    return "\n".join(_section(name, argument) for name, argument in _named() if "." not in name)


def limits_reference() -> str:
    """The table of limits."""
    rows = [_row(name, argument) for name, argument in _named() if name.startswith(f"{TABLE}.")]
    return "\n".join(["| name | default | bounds | |", "|---|---|---|---|", *rows])


def _named() -> Iterator[tuple[str, Argument]]:
    """The settings as the command line knows them, each with its name in the file."""
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        os.environ.pop(variable, None)
    for argument in app.assemble_argument_collection(parse_docstring=True):
        name = argument.name.removeprefix("--").replace("-", "_")
        if name in NAMES:
            yield name, argument


def _section(name: str, argument: Argument) -> str:
    facts = [f"`{argument.name}`", f"`{PREFIX}{name.upper()}`", _values(argument)]
    default = _default(argument)
    facts.append("no default" if default is None else f"default: {default}")
    return f"### {name}\n\n{_meaning(argument)}\n\n{' · '.join(facts)}\n"


def _row(name: str, argument: Argument) -> str:
    cells = [f"`{name.removeprefix(f'{TABLE}.')}`", _default(argument), _bounds(argument)]
    return f"| {' | '.join([str(cell) for cell in cells])} | {_meaning(argument)} |"


def _meaning(argument: Argument) -> str:
    return " ".join(str(argument.parameter.help).split())


def _values(argument: Argument) -> str:
    """What may be given."""
    kinds = list(getattr(argument.hint, "__args__", ())) or [argument.hint]
    if argument.name == "--live-sources":
        return "a table of names and URLs, or a text of `NAME=URL` with blanks between"
    if getattr(argument.hint, "__origin__", None) is tuple:
        return "a list, or a text with commas between"
    if choices := argument.get_choices():
        words = [f"`{choice}`" for choice in choices]
        return ", ".join(words + [KINDS[kind] for kind in kinds if kind in KINDS])
    kind, bounds = next(KINDS[kind] for kind in kinds if kind in KINDS), _bounds(argument)
    return f"{kind}, {bounds}" if bounds else kind


def _bounds(argument: Argument) -> str:
    return bounds_of(argument.parameter)


def _default(argument: Argument) -> str | None:
    shown, default = argument.parameter.show_default, argument.field_info.default
    if callable(shown):
        default = shown(default)
        if isinstance(default, str):
            return default
    return None if default is None else f"`{_plain(default)}`"


def _plain(default: Any) -> str:
    """As it is written in the file, for a home folder of anybody's."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return str([int(number) for number in default])
    if isinstance(default, float):
        return f"{default:g}"
    return str(default).replace(str(Path.home()), "~")
