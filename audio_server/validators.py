"""Numbers among the settings: how they are written, and between which bounds they may be.

What is here goes into a field's `Annotated`. The command line, the environment and the TOML file
keep to it; values made in Python are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from audio_server.rpc.rate_limit import Rate

_RATE_MOST = 1_000_000


def whole(least: int, most: int | None = None) -> Parameter:
    """A whole number from `least` to `most`."""
    return Parameter(converter=_exact_int, validator=Number(gte=least, lte=most))


def seconds(least: float, most: float) -> Parameter:
    """A time from `least` to `most`."""
    return Parameter(validator=(_finite, Number(gte=least, lte=most)))


def rate() -> Parameter:
    """A `Rate` that lets something through, written as its two numbers with a comma between."""
    return Parameter(converter=_rate, n_tokens=1, metavar="BURST,PER_S")


def bounds_of(parameter: Parameter) -> str:
    """The bounds of a number in words; empty for what has none."""
    validators = parameter.validator
    for bounds in validators if isinstance(validators, tuple) else ():
        if isinstance(bounds, Number):
            return f"{bounds.gte} " + ("or more" if bounds.lte is None else f"to {bounds.lte}")
    return ""


def _exact_int(_: Any, tokens: Sequence[Token]) -> int:
    """The library would round 1.5 to 2; a wrong value is an error."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f'"{tokens[0].value}" is not a whole number') from None


def _finite(_: Any, value: float) -> None:
    if not isfinite(value):
        raise ValueError("Must be a number of seconds.")


def _rate(_: Any, tokens: Sequence[Token]) -> Rate:
    text = tokens[0].value
    try:
        burst, per_s = text.split(",")
        found = int(burst), float(per_s)
    except ValueError:
        raise ValueError(f'"{text}" is not BURST,PER_S') from None
    if not (1 <= found[0] <= _RATE_MOST and 0 < found[1] <= _RATE_MOST):
        raise ValueError(f'"{text}" is no rate: 1 or more at once, above 0 a second')
    return found
