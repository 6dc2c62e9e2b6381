"""Ending connections one after the other, so that their clients arrive elsewhere one by one.

Each gets a GOAWAY, and a second one with the end of its calls some time later, as in a drain of all
at once. A connection on which a client is busy is left alone until it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import inf
from random import sample
from typing import NoReturn

import trio

from audio_server.rpc.server_connection import SETTLE_S, STOPPING, ServerConnection

Busy = Callable[[], Collection[object]]
"""Returns the peers (`ServerConnection.peer`) of which a client is in the midst of something."""

_STEP_S = 0.1
"""A step looks at all connections once."""

_AGE_STEP_S = 10.0

AGED = "the connection has reached its age"

_GOLDEN = 0.6180339887
"""Multiples of it are spread evenly between whole numbers, however many there are."""

_JITTER = 0.2


class GradualDrain:
    """Ends some of `connections`, which may come and go meanwhile."""

    def __init__(self, connections: Collection[ServerConnection], busy: Busy) -> None:
        self._connections = connections
        self._busy = busy
        self._told_at: dict[ServerConnection, float] = {}

    async def end_all(self, within_s: float) -> None:
        """End all connections, at an even pace and in random order, those first that are not busy.

        Returns when none is left, or after `within_s` with those that are busy to the end. A cancel
        leaves those that were not told as they are.
        """
        until, due = trio.current_time() + within_s, 0.0
        while self._connections and (left_s := until - trio.current_time()) > 0:
            busy = self._busy()
            self._end_settled(busy, STOPPING)
            waiting = [one for one in self._connections if one not in self._told_at]
            steps = max(1.0, (left_s - SETTLE_S) / _STEP_S)
            due += len(waiting) / steps
            idle = [one for one in waiting if one.peer not in busy]
            chosen = sample(idle, min(int(due), len(idle)))
            self._tell(chosen)
            due = min(due - len(chosen), 1.0)  # no flood when those that were busy no longer are
            await trio.sleep(min(_STEP_S, left_s))

    async def end_old(self, max_age_s: float) -> NoReturn:
        """End connections that reach their age, each its own, a fifth more or less than this."""
        while True:
            await trio.sleep(min(_AGE_STEP_S, max_age_s / 20))
            busy, now = self._busy(), trio.current_time()
            self._end_settled(busy, AGED)
            self._tell(
                connection
                for connection in self._connections
                if now - connection.opened_at >= max_age_s * age_factor(connection.number)
                and connection not in self._told_at
                and connection.peer not in busy
            )

    def _tell(self, chosen: Iterable[ServerConnection]) -> None:
        for connection in chosen:
            connection.announce_end()
            self._told_at[connection] = trio.current_time()

    def _end_settled(self, busy: Collection[object], reason: str) -> None:
        """End connections that know of it for long enough; one that is busy again has its time."""
        now = trio.current_time()
        for connection, told_at in list(self._told_at.items()):
            if connection not in self._connections:
                del self._told_at[connection]
            elif connection.peer not in busy and now - told_at >= SETTLE_S:
                connection.end_calls(reason)
                self._told_at[connection] = inf  # once: its last bytes may take their time


def age_factor(number: int) -> float:
    """Return by how much the age of a connection differs: connections that came together after a
    restart do not go together."""
    return 1 - _JITTER + 2 * _JITTER * (number * _GOLDEN % 1)
