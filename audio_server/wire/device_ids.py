"""The id of a device: its form, and where a call carries it."""

from __future__ import annotations

import re
from typing import Any, Final

FORM: Final = "1-64 characters out of A-Z a-z 0-9 . _ : -"

METADATA_KEYS: Final = ("device_id", "device-id")
"""Either carries the id: some proxies, nginx among them, drop names with an underscore."""

_DEVICE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class DeviceIdError(ValueError):
    """A call does not carry exactly one good id; the text may be shown to its client."""


def is_device_id(text: str) -> bool:
    """Return whether `text` is a device id: `FORM`."""
    return _DEVICE_ID.fullmatch(text) is not None


def device_id_in(metadata: Any) -> str:
    """Return the id in a call's metadata, a multi-dict or None. Raises `DeviceIdError`."""
    ids = (
        []
        if metadata is None
        else [one for key in METADATA_KEYS for one in metadata.getall(key, ())]
    )
    if not ids:
        raise DeviceIdError(f"metadata needs device_id or device-id: {FORM}")
    if len(ids) > 1:
        raise DeviceIdError("metadata needs exactly one of device_id and device-id, with one value")
    (device_id,) = ids
    if not isinstance(device_id, str) or not is_device_id(device_id):
        raise DeviceIdError(f"the device id in the metadata needs {FORM}")
    return device_id
