"""Names that people give to devices and clips: which ones are accepted, and which are equal."""

from __future__ import annotations

import unicodedata
from typing import Final

# Line and paragraph separators break one line into two; embeddings, overrides and isolates of
# direction have text read as something else. Marks of direction (U+200E, U+200F) are harmless, and
# so are the joiners that hold an emoji together.
_REFUSED: Final = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_INVISIBLE: Final = ("Cf", "Zs", "Mn")


class BadName(ValueError):
    """A text cannot be a name; says why in one line. The fault of the one who gave it."""


def clean_name(text: str) -> str:
    """Return a name as it is kept: composed (NFC), each kind of space as a plain one, none around.

    Raises `BadName` for control characters, surrogates, separators of lines, what changes the
    direction of text, and for a name with nothing to see in it.
    """
    composed = unicodedata.normalize("NFC", text.strip())
    for char in composed:
        _check(char)
    name = "".join(" " if unicodedata.category(char) == "Zs" else char for char in composed)
    if all(unicodedata.category(char) in _INVISIBLE for char in name):
        raise BadName("a name has at least one character that can be seen")
    return name


def same_name(text: str) -> str:
    """Return a form that is equal for names that look the same: composed or not (NFC, NFD)."""
    return unicodedata.normalize("NFC", text)


def _check(char: str) -> None:
    match unicodedata.category(char):
        case "Cc":
            raise BadName("a name has no control characters")
        case "Cs":
            raise BadName("a name has no surrogates")
    if char in _REFUSED:
        raise BadName(f"a name has no U+{ord(char):04X}, which changes lines or directions")
