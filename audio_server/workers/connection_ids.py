"""Numbers of connections and calls that agree over all workers of a machine: newer is larger.

A worker that is busy accepts and reads late, and an old call that lay in its queues meanwhile must
not pass for a new one. So the number is the time at which a connection or a call arrived, as near
as the kernel tells it, not the time at which the worker took it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from audio_server.cluster.arrivals import waited_s


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
        return self._clock_ns() - round(waited_s(transport) * 1e9)
