"""Modes that replicas of the engine have too, on a connection of its own, which WAIT holds up.

A write here comes after all writes that were answered before it, so a replica that has it has those
too: one WAIT confirms any number of modes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import structlog
import trio

from audio_server.cluster.engine_connection import EngineConnection

WAIT_MS = 1000
"""How long replicas are waited for at a time."""

MARK = "as:mark"

log = structlog.get_logger()


class Replicas:
    """So many replicas of the engine at the other end of `connection`.

    While they are missing each key waits here once, with what it waits for last.
    """

    def __init__(self, connection: EngineConnection, count: int) -> None:
        self._connection = connection
        self._count = count
        self._waiting: dict[object, Callable[[], None]] = {}
        self._asked: dict[object, Callable[[], None]] = {}
        self._some = trio.Event()
        self._are_missing = False

    def when_replicated(self, key: object, do: Callable[[], None]) -> None:
        """Call `do` when they have all that was answered until now, unless something later takes
        its place at that key."""
        self._waiting[key] = do
        self._some.set()

    def drop(self, key: object) -> None:
        """Do nothing for a key."""
        self._waiting.pop(key, None)
        self._asked.pop(key, None)

    async def run(self) -> NoReturn:
        """Confirm until cancelled. Raises `ClusterDown` and `EngineFault`."""
        while True:
            await self._some.wait()
            self._some = trio.Event()
            if not self._waiting:
                continue  # all were dropped
            self._asked, self._waiting = self._waiting, {}
            self._connection.send(lambda _: None, "SET", MARK, 1, "PX", 60_000)
            found = await self._connection.ask("WAIT", self._count, WAIT_MS)
            if found >= self._count:
                asked, self._asked = self._asked, {}
                for do in asked.values():
                    do()
            elif self._asked:
                self._waiting = self._asked | self._waiting
                self._some.set()
            self._note(found)

    def _note(self, found: int) -> None:
        are_missing = found < self._count
        if are_missing and not self._are_missing:
            log.warning("replicas are missing", expected=self._count, found=found)
        self._are_missing = are_missing
