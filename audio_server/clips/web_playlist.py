"""Lists of streams, as radio stations hand them out: M3U and PLS. HLS is one by its name only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

LIST_MAX_BYTES = 1 << 20
"""A list that is longer is none: one of HLS for a day at two seconds a part has half of that."""

_PLS_TYPES = ("audio/x-scpls", "application/pls")
_M3U_TYPES = ("mpegurl",)
_HLS_URI = re.compile(r'[:,]\s*URI\s*=\s*"([^"]*)', re.IGNORECASE)
_PLS_LINE = re.compile(r"^\s*file\d*\s*=\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)


class Kind(Enum):
    """The kind of a body."""

    SOUND = "sound"
    LIST = "a list of addresses"
    HLS = "a list of the parts of one stream"


def kind_of(begin: bytes, content_type: str) -> Kind:
    """Return the kind of a body by its first bytes, or by its type where they are plain text."""
    text = begin.lstrip(b"\xef\xbb\xbf \r\n\t")
    if text.startswith(b"#EXTM3U"):
        return Kind.HLS if b"#EXT-X-" in begin else Kind.LIST
    kind = content_type.lower()
    is_list = any(one in kind for one in (*_PLS_TYPES, *_M3U_TYPES))
    if text[:10].lower() == b"[playlist]" or (is_list and b"\0" not in begin):
        return Kind.LIST
    return Kind.SOUND


def first_entry(body: bytes) -> str | None:
    """Return the first address of a list as it is written, None where there is none."""
    text = body.decode("utf-8-sig", "replace")
    if text.lstrip()[:10].lower() == "[playlist]":
        found = _PLS_LINE.search(text)
        return found[1] if found else None
    return next(_addresses(text), None)


def parts_of(body: bytes) -> Iterator[str]:
    """Yield all addresses that a list in the form of M3U or HLS holds, keys and the like too."""
    text = body.decode("utf-8-sig", "replace")
    yield from _addresses(text)
    yield from _HLS_URI.findall(text)


def _addresses(text: str) -> Iterator[str]:
    lines = (line.strip() for line in text.splitlines())
    return (line for line in lines if line and not line.startswith("#"))
