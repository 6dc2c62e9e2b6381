"""Faults of JSON and of parameters, in words of our own.

msgspec has words of its own, with names of Python's types; its messages are parsed here. An unknown
message becomes one that names only the place of the fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

SHOWN_MAX: Final = 64
"""Characters of a name that came with the request."""

SEE: Final = "see /api/openapi.json"

_TYPES: Final = {
    "object": "an object",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
}

_RULES: Final[tuple[tuple[str, Callable[[re.Match[str], str], str]], ...]] = (
    (
        r"Object missing required field `(.*)`",
        lambda found, where: f"{_at(where)}{_shown(found[1])} is missing",
    ),
    (
        r"Object contains unknown field `(.*)`",
        lambda found, where: f"{_at(where)}{_shown(found[1])} is unknown",
    ),
    (
        r"Expected `(.*)`, got `(.*)`",
        lambda found, where: f"{where} has to be {_types(found[1])}, not {_types(found[2])}",
    ),
    (
        r"Expected `array` of length (>=|<=) (\d+)",
        lambda found, where: f"{where} has to have {_bound(found)} entries",
    ),
    (
        r"Expected `str` of length (>=|<=) (\d+)",
        lambda found, where: f"{where} has to have {_bound(found)} characters",
    ),
    (
        r"Expected `(?:int|float)` (>=|<=) (\S+)",
        lambda found, where: f"{where} has to be {_bound(found)}",
    ),
    (
        r"Invalid enum value .*",
        lambda found, where: f"{where} has a value that is not one of those allowed; {SEE}",
    ),
)


def in_words(error: msgspec.ValidationError, whole: str) -> str:
    """One line about an error in `whole`, such as "the body"."""
    said, _, path = str(error).partition(" - at `$")
    where = _shown(path.rstrip("`").lstrip(".")) if path.rstrip("`") else whole
    for pattern, word in _RULES:
        if (found := re.fullmatch(pattern, said, re.DOTALL)) is not None:
            return word(found, where)
    return f"{where} is not valid; {SEE}"


def place_in_words(error: msgspec.DecodeError | UnicodeDecodeError) -> str:
    """Where a body stops being JSON."""
    if isinstance(error, UnicodeDecodeError):
        return "the body is not JSON: it is not UTF-8"
    found = re.search(r"\(byte (\d+)\)", str(error))
    return (
        f"the body is not JSON: see byte {found[1]}" if found else "the body is not JSON: it ends"
    )


def _at(where: str) -> str:
    return "" if where.startswith("the ") else f"{where}: "


def _shown(name: str) -> str:
    printable = "".join(one if one.isprintable() else "?" for one in name[:SHOWN_MAX])
    return printable if len(name) <= SHOWN_MAX else f"{printable}…"


def _types(names: str) -> str:
    return " or ".join(_TYPES.get(name, "another value") for name in names.split(" | "))


def _bound(found: re.Match[str]) -> str:
    return f"at {'least' if found[1] == '>=' else 'most'} {found[2]}"
