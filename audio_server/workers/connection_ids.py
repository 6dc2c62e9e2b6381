"""Numbers of connections that agree over all workers of a machine: a newer one has a larger.

A worker that is busy accepts late, and an old connection that lay in its queue meanwhile must not
pass for a new one. So the number is the time at which the connection arrived, as near as the
kernel tells it, not the time at which it was accepted.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable

import trio

SLACK_MS = 10
"""How wrong the kernel may be, which counts in its own ticks. A connection that was accepted
sooner has the time of its acceptance; no number is earlier than the truth."""

_LAST_DATA_RECEIVED = struct.Struct("=52xI")
"""Milliseconds since data, or else the connection itself, came in (Linux `struct tcp_info`)."""


class ConnectionIds:
    """Gives each connection of worker number `worker` (from 1, of `workers`) its number.

    The clock must be one for all processes of the machine, in nanoseconds. Numbers of one worker
    go up, and two workers never give the same.
    """

    def __init__(
        self, worker: int, workers: int, *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._offset = worker - 1
        self._workers = workers
        self._clock_ns = clock_ns
        self._last_ns = 0

    def __call__(self, transport: trio.abc.Stream) -> int:
        """The number of a connection that has just been accepted."""
        waited_ms = max(0, silent_ms(transport) - SLACK_MS)
        self._last_ns = max(self._last_ns + 1, self._clock_ns() - waited_ms * 1_000_000)
        return self._last_ns * self._workers + self._offset


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
