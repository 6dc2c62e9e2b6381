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
    """So many replicas of the engine at the other end of `connection`."""

    def __init__(self, connection: EngineConnection, count: int) -> None:
        self._connection = connection
        self._count = count
        self._waiting: list[Callable[[], None]] = []
        self._some = trio.Event()
        self._are_missing = False

    def when_replicated(self, do: Callable[[], None]) -> None:
        """Call `do` when they have all that was answered until now."""
        self._waiting.append(do)
        self._some.set()

    async def run(self) -> NoReturn:
        """Confirm until cancelled. Raises `ClusterDown` and `EngineFault`."""
        while True:
            await self._some.wait()
            self._some = trio.Event()
            batch, self._waiting = self._waiting, []
            self._connection.send(lambda _: None, "SET", MARK, 1, "PX", 60_000)
            found = await self._connection.ask("WAIT", self._count, WAIT_MS)
            if found >= self._count:
                for do in batch:
                    do()
            else:
                self._waiting = batch + self._waiting
                self._some.set()
            self._note(found)

    def _note(self, found: int) -> None:
        are_missing = found < self._count
        if are_missing and not self._are_missing:
            log.warning("replicas are missing", expected=self._count, found=found)
        self._are_missing = are_missing
