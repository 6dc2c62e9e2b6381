"""Whether a terminal shows colours, and whether a program may draw on it."""

from __future__ import annotations

import os
from typing import TextIO

_DUMB = ("dumb", "unknown")
"""Terminals without controls (`TERM`): they can only print lines."""


def can_draw(stream: TextIO) -> bool:
    """Whether a screen or a progress bar can be drawn there."""
    return stream.isatty() and os.environ.get("TERM", "").strip().lower() not in _DUMB


def shows_colours(stream: TextIO) -> bool:
    """Whether lines there may have colours; `NO_COLOR` forbids them when it is set to anything
    but the empty string (no-color.org)."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")
