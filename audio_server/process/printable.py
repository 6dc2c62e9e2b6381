"""Text from elsewhere made safe to show: names, ids, errors, answers of servers, log values.

A terminal obeys control characters, so a name could clear the screen, set a title or forge a line;
a bidirectional override shows it in another order. All other characters are shown as they are.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, overrides, isolates
    "\u2028\u2029"  # separators of lines and paragraphs
    "\ud800-\udfff"  # surrogates, with which Python stands in for bytes that are no text
    "]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ESCAPED_BYTES = range(0xDC80, 0xDD00)


def printable(text: object) -> str:
    """Return the text as one line without control characters: an escape stands for each."""
    return _UNSAFE.sub(_escape, str(text))


def printable_lines(text: object) -> str:
    """Return the same, with line breaks kept."""
    return "\n".join(map(printable, str(text).split("\n")))


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char in _SHORT:
        return _SHORT[char]
    number = ord(char)
    if number in _ESCAPED_BYTES:
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
