"""HTTP/2 as it travels, written by hand: for peers that say anything, possible or not."""

from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return any frame, possible or not."""
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload
