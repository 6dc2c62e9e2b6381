"""The workers that there are, and asking some or all of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
import trio

from audio_server.fleet.ipc_client import Clock, NoAnswer
from audio_server.fleet.worker_client import WorkerClient

log = structlog.get_logger()


class WorkerClients:
    """`worker_of` says at which worker a device is, or was last; `lost` is told the number of a
    worker that is gone."""

    def __init__(
        self,
        worker_of: Callable[[str], int | None],
        lost: Callable[[int], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._worker_of = worker_of
        self._lost = lost
        self._clock = clock
        self._members: dict[int, WorkerClient] = {}

    async def attach(self, number: int, stream: trio.abc.Stream) -> None:
        """Have a worker, until its process is gone. Closes the stream.

        This is the edge where faults of a worker's answers end: then it is none of them any more.
        """
        member = self._members[number] = WorkerClient(number, stream, clock=self._clock)
        try:
            await member.run()
        except* Exception:
            log.exception("worker cannot be asked", worker=number)
        finally:
            if self._members.get(number) is member:
                del self._members[number]
                self._lost(number)

    def has(self, member: WorkerClient) -> bool:
        """Whether its process is still there."""
        return self._members.get(member.number) is member

    def knows(self, device_id: str) -> bool:
        """Whether a device is or was at a worker."""
        return self._worker_of(device_id) is not None

    def of(self, device_id: str) -> WorkerClient | None:
        """Who has a device, or had it last."""
        number = self._worker_of(device_id)
        return None if number is None else self._members.get(number)

    def at(self, member: WorkerClient, device_ids: Sequence[str]) -> list[str]:
        """Those of some devices that a worker has."""
        return [device_id for device_id in device_ids if self.of(device_id) is member]

    async def each(self, do: Callable[[WorkerClient], Awaitable[None]]) -> None:
        """Do something with all of them, at the same time."""
        async with trio.open_nursery() as nursery:
            for member in list(self._members.values()):
                nursery.start_soon(do, member)

    def forget_heard(self) -> None:
        """Whoever follows from now on wants nothing that has been before."""
        for member in self._members.values():
            member.heard = None

    async def gather(self, what: str, within_s: float, **facts: Any) -> list[Any]:
        """The parts of all answers that come."""
        parts: list[Any] = []

        async def ask(member: WorkerClient) -> None:
            try:
                parts.extend(await member.ask(what, within_s, **facts))
            except NoAnswer:
                return

        await self.each(ask)
        return parts
