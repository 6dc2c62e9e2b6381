"""Names that people give to devices and clips, and tags of devices: which ones are accepted, and
which are equal."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Line and paragraph separators break one line into two; embeddings, overrides and isolates of
# direction have text read as something else. Marks of direction (U+200E, U+200F) are harmless, and
# so are the joiners that hold an emoji together.
_REFUSED: Final = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

LENGTH_MAX: Final = 1024
"""In characters. No file has a longer name, however it is composed; and to compose text takes time
that grows with the square of its length: seconds for 20,000 characters."""

_SHOWN: Final = 40

TAG: Final = "^[a-z0-9][a-z0-9._-]{0,31}$"
"""The form of a tag. A tag is a word of URLs and command lines, unlike a name."""

_PLAIN_SPACES: Final = dict.fromkeys(
    (0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "
)
"""Each character of Unicode's category Zs, made a plain space."""

_INVISIBLE: Final = ("Cf", "Zs", "Mn")


class BadName(ValueError):
    """A text cannot be a name; `str()` is the reason in one line. The fault of its author."""


def clean_name(text: str) -> str:
    """Return a name as it is kept: composed (NFC), each kind of space as a plain one, none around.

    Raises `BadName` for control characters, surrogates, separators of lines, characters that change
    the direction of text, for a name with nothing to see in it, and for one that is too long.
    """
    if len(text) > LENGTH_MAX:
        raise BadName(f"a name has at most {LENGTH_MAX} characters")
    composed = unicodedata.normalize("NFC", text.strip())
    for char in composed:
        _check(char)
    name = composed.translate(_PLAIN_SPACES)
    if all(unicodedata.category(char) in _INVISIBLE for char in name):
        raise BadName("a name has at least one character that can be seen")
    return name


def same_name(text: str) -> str:
    """Return a form that is equal for names that look the same: composed or not (NFC, NFD), and
    with any kind of space. Longer text than any name is returned as it is."""
    if text.isascii() or len(text) > LENGTH_MAX:
        return text
    return unicodedata.normalize("NFC", text).translate(_PLAIN_SPACES)


def shortened(text: str) -> str:
    """Return text for an error, which says no more of a long name than tells it apart."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def checked_tag(text: str) -> str:
    """Return a tag as it is kept, in small letters. Raises `BadName`."""
    tag = text.lower()
    if not re.match(TAG, tag) or tag.endswith("\n"):
        raise BadName(
            f'"{shortened(text)}": a tag has 1 to 32 letters (a-z), digits, dots, hyphens and '
            "underscores, and begins with a letter or a digit"
        )
    return tag


def _check(char: str) -> None:
    match unicodedata.category(char):
        case "Cc":
            raise BadName("a name has no control characters")
        case "Cs":
            raise BadName("a name has no surrogates")
    if char in _REFUSED:
        raise BadName(f"a name has no U+{ord(char):04X}, which changes lines or directions")
