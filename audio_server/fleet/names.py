"""Names and tags that operators give to devices."""

from __future__ import annotations

from audio_server.names import TAG, BadName, checked_tag, clean_name

__all__ = ["NAME_MAX", "TAG", "TAGS_MAX", "BadName", "checked_name", "checked_tag"]

NAME_MAX = 64
"""In characters."""

TAGS_MAX = 16
"""Tags of one device."""


def checked_name(text: str) -> str:
    """Return a name as it is kept. Raises `BadName`."""
    name = clean_name(text)
    if len(name) > NAME_MAX:
        raise BadName(f"a name has at most {NAME_MAX} characters")
    return name
