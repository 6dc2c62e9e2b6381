"""Words that others chose (peers, libraries), made fit for a line of log."""

from __future__ import annotations

MAX_CHARS = 200
"""The most that a library's words add to a line."""


def log_text(words: str | bytes) -> str:
    """Return the beginning of the words, at most `MAX_CHARS`, with all that is not printable
    escaped."""
    text = words[:MAX_CHARS]
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return "".join(map(_shown, text))[:MAX_CHARS]


def _shown(char: str) -> str:
    return char if char.isascii() and char.isprintable() else ascii(char)[1:-1]
