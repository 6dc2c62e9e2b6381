"""The firmware that a device names in the metadata of its calls, for operators to tell versions
apart. No device has to."""

from __future__ import annotations

from typing import Any, Final

METADATA_KEY: Final = "firmware"

FIRMWARE_MAX: Final = 64
"""In characters; the rest is left out."""


def firmware_in(metadata: Any) -> str | None:
    """Return the firmware in a call's metadata, a multi-dict or None: printable ASCII, without
    blanks around it. None where a device names none, or several."""
    values = [] if metadata is None else metadata.getall(METADATA_KEY, [])
    return cleaned(values[0]) if len(values) == 1 else None


def cleaned(text: object) -> str | None:
    """Return a name of firmware as it is kept and shown; None where nothing is left of it."""
    if not isinstance(text, str):
        return None
    plain = "".join(one for one in text[: 4 * FIRMWARE_MAX] if one.isascii() and one.isprintable())
    return plain.strip()[:FIRMWARE_MAX].strip() or None
