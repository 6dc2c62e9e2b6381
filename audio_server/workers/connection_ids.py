"""Numbers of connections and calls that agree over all workers of a machine: newer is larger.

A worker that is busy accepts and reads late, and an old call that lay in its queues meanwhile must
not pass for a new one. So the number is the time at which a connection or a call arrived, as near
as the kernel tells it, not the time at which the worker took it.
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
    """Gives each connection and call of worker number `worker` (from 1, of `workers`) its number.

    The clock must be one for all processes of the machine, in nanoseconds. Two workers never give
    the same number.
    """

    def __init__(
        self, worker: int, workers: int, *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._offset = worker - 1
        self._workers = workers
        self._clock_ns = clock_ns
        self._last_ns = 0

    def __call__(self, transport: trio.abc.Stream) -> int:
        """Return the number of a connection that has just been accepted; the next one's is larger,
        for connections are accepted in order."""
        self._last_ns = max(self._last_ns + 1, self._arrived_ns(transport))
        return self._last_ns * self._workers + self._offset

    def of_call(self, transport: trio.abc.Stream) -> int:
        """Return the number of a call that has just been read. Calls of different connections are
        read in any order, so this number may be smaller than the one before."""
        return self._arrived_ns(transport) * self._workers + self._offset

    def _arrived_ns(self, transport: trio.abc.Stream) -> int:
        waited_ms = max(0, silent_ms(transport) - SLACK_MS)
        return self._clock_ns() - waited_ms * 1_000_000


def silent_ms(transport: trio.abc.Stream) -> int:
    """For how long the peer has sent nothing; 0 where that cannot be told."""
    if isinstance(transport, trio.SSLStream):
        transport = transport.transport_stream
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
