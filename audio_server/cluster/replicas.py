"""Modes that replicas of the engine have too, on a connection of its own, which WAIT holds up.

A write here comes after all writes that were answered before it, so a replica that has it has those
too: one WAIT confirms any number of modes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeAlias

import structlog
import trio

from audio_server.cluster.engine_connection import EngineConnection

WAIT_MS = 1000
"""How long replicas are waited for at a time."""

MARK = "as:mark"

Confirm: TypeAlias = Callable[[str, int], None]
"""Called with a device and the number of its newest mode that replicas have."""

log = structlog.get_logger()


class Replicas:
    """So many replicas of the engine at the other end of `connection`.

    While they are missing a device waits here once, with its newest mode alone.
    """

    def __init__(self, connection: EngineConnection, count: int) -> None:
        self._connection = connection
        self._count = count
        self._waiting: dict[str, tuple[Confirm, int]] = {}
        self._asked: dict[str, tuple[Confirm, int]] = {}
        self._some = trio.Event()
        self._are_missing = False

    def when_replicated(self, confirm: Confirm, device_id: str, number: int) -> None:
        """Call `confirm` when they have all modes of a device up to that number."""
        self._waiting[device_id] = confirm, number
        self._some.set()

    def drop(self, device_id: str) -> None:
        """Confirm no mode of a device that was answered until now."""
        self._waiting.pop(device_id, None)
        self._asked.pop(device_id, None)

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
                for device_id, (confirm, number) in self._asked.items():
                    confirm(device_id, number)
                self._asked = {}
            elif self._asked:
                self._waiting = self._asked | self._waiting
                self._some.set()
            self._note(found)

    def _note(self, found: int) -> None:
        are_missing = found < self._count
        if are_missing and not self._are_missing:
            log.warning("replicas are missing", expected=self._count, found=found)
        self._are_missing = are_missing
