"""`audio-server limits`: the limits on a peer, as a table for the settings' file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, fields
from textwrap import wrap

from cyclopts import Parameter

from audio_server.process.output import say
from audio_server.rpc.rate_limit import Rate
from audio_server.settings import LimitSettings
from audio_server.settings.limits import LimitTable
from audio_server.settings.values import ConfigFile, bounds_of

_DEFAULTS = LimitSettings()
_WIDTH = 96
_HEAD = (
    "# Of each worker. A pair is a rate: so many at once, and so many a second in the long run.",
    "[limits]",
)


def limits(*, limits: LimitTable = _DEFAULTS, config: ConfigFile = None) -> None:
    """List the limits on a peer, with the values that a server would have.

    The list is TOML: changed lines of it can go into the file of --config.
    """
    from audio_server.cli.app import app

    arguments = app["limits"].assemble_argument_collection(parse_docstring=True)
    say(*_HEAD)
    values = astuple(limits)
    for limit, value in zip(fields(LimitSettings), values, strict=True):
        flag = f"--limits.{limit.name.replace('_', '-')}"
        for line in _described(arguments[flag].parameter):
            say(f"# {line}")
        say(f"{limit.name} = {_toml(value)}")


def _toml(value: int | float | Rate) -> str:
    if isinstance(value, tuple):
        return f"[{value[0]}, {value[1]:g}]"
    return str(value) if isinstance(value, int) else f"{value:g}"


def _described(parameter: Parameter) -> Iterator[str]:
    bounds = bounds_of(parameter)
    text = " ".join(str(parameter.help).split())
    yield from wrap(f"{text} ({bounds})" if bounds else text, _WIDTH)
