"""Names and tags that operators give to devices."""

from __future__ import annotations

import re
from typing import Final

from audio_server.names import BadName, clean_name, shortened

__all__ = ["NAME_MAX", "TAG", "TAGS_MAX", "BadName", "checked_name", "checked_tag"]

NAME_MAX = 64
"""In characters."""

TAG: Final = "^[a-z0-9][a-z0-9._-]{0,31}$"
"""The form of a tag. A tag is a word of URLs and command lines, unlike a name."""

TAGS_MAX = 16
"""Tags of one device."""


def checked_name(text: str) -> str:
    """Return a name as it is kept. Raises `BadName`."""
    name = clean_name(text)
    if len(name) > NAME_MAX:
        raise BadName(f"a name has at most {NAME_MAX} characters")
    return name


def checked_tag(text: str) -> str:
    """Return a tag as it is kept, in small letters. Raises `BadName`."""
    tag = text.lower()
    if not re.match(TAG, tag) or tag.endswith("\n"):
        raise BadName(
            f'"{shortened(text)}": a tag has 1 to 32 letters (a-z), digits, dots, hyphens and '
            "underscores, and begins with a letter or a digit"
        )
    return tag
