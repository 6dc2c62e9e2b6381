"""gRPC's length prefix, for messages that are framed before they are sent."""

from __future__ import annotations

import struct

PREFIX_BYTES = 5


def frame_message(message: bytes) -> bytes:
    """A message with its prefix: not compressed, 32 bits of length, big-endian.

    Source: gRPC over HTTP2, "Length-Prefixed-Message".
    """
    return struct.pack(">BI", 0, len(message)) + message
