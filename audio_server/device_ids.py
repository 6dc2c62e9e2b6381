"""What a device may be called."""

from __future__ import annotations

import re

WHAT = "1-64 characters out of A-Z a-z 0-9 . _ : -"

_DEVICE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def is_device_id(text: str) -> bool:
    """Whether a device may be called that: `WHAT`."""
    return _DEVICE_ID.fullmatch(text) is not None
