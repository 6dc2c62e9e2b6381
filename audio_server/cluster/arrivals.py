"""How long a call has lain unread, as near as the kernel tells it.

A node that is busy accepts and reads late, and an old call that lay in its queues meanwhile must
not pass for a new one.
"""

from __future__ import annotations

import socket
import struct
import sys

import trio

SLACK_MS = 10
"""How wrong the kernel may be, which counts in its own ticks. A call that has waited for less has
just arrived; no call passes for older than it is."""

_LAST_DATA_RECEIVED = struct.Struct("=52xI")
"""Milliseconds since data, or else the connection itself, came in (Linux `struct tcp_info`)."""


def waited_s(transport: trio.abc.Stream) -> float:
    """For how long the last call of a connection has waited, at least."""
    return max(0, silent_ms(transport) - SLACK_MS) / 1000


def silent_ms(transport: trio.abc.Stream) -> int:
    """For how long the peer has sent nothing; 0 where that cannot be told."""
    if sys.platform != "linux" or not isinstance(transport, trio.SocketStream):
        return 0
    try:
        info = transport.socket.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.size
        )
    except OSError:
        return 0
    (last_ms,) = _LAST_DATA_RECEIVED.unpack(info)
    return int(last_ms)
