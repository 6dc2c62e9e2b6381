"""Characters that a terminal's encoding does not have: other signs in their place.

A name or an LED that cannot be shown as it is must not end a command with a traceback.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from contextlib import suppress
from functools import partial

OUTPUT, ERRORS = "audio-server-output", "audio-server-errors"
"""Names of the error handlers: in a table every sign keeps its width; in an error nothing of a name
is lost, so that the file can be found."""

_LAMPS = "●○■□◆◇▲△", "*.#.+.^."
_BARS = "▶█▉▊▋▌▍▎▏━╸╺", ">#####:..---"
_DOTS = "·…\u2013\u2014\u2018\u2019\u201c\u201d", "..--''\"\""

SIGNS = str.maketrans(*map("".join, zip(_LAMPS, _BARS, _DOTS, strict=True)))
"""Signs of our own screens, each as wide as the other."""


def configure_encoding_errors() -> None:
    """Have standard output and error take every character, in any encoding."""
    for stream, name in ((sys.stdout, OUTPUT), (sys.stderr, ERRORS)):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # its file has been exchanged, and cannot be told from
                stream.reconfigure(errors=name)


def _substitute(error: UnicodeError, *, keeps_width: bool) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(SIGNS)
    if keeps_width:
        text = "".join(map(_as_wide, text))
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def _as_wide(char: str) -> str:
    """Return question marks that take as many places of a terminal as a character does."""
    if char.isascii():
        return char
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return ""
    return "??" if unicodedata.east_asian_width(char) in "WF" else "?"


codecs.register_error(OUTPUT, partial(_substitute, keeps_width=True))
codecs.register_error(ERRORS, partial(_substitute, keeps_width=False))
