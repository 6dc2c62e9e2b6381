"""Clients of all workers, and questions to some or all of them."""

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
    """`worker_of` returns the worker of a device, also the last one; `lost` is called with the
    number of a worker that is gone."""

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
        """Keep the client of a worker until its process is gone. Closes the stream.

        This is the edge where faults of a worker's answers end: the worker is then left out.

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
        """Return the client of the worker that has a device, or had it last."""
        number = self._worker_of(device_id)
        return None if number is None else self._members.get(number)

    def at(self, member: WorkerClient, device_ids: Sequence[str]) -> list[str]:
        """Return the devices of a list that a worker has."""
        return [device_id for device_id in device_ids if self.of(device_id) is member]

    async def each(self, do: Callable[[WorkerClient], Awaitable[None]]) -> None:
        """Run an action with all clients, at the same time."""
        async with trio.open_nursery() as nursery:
            for member in list(self._members.values()):
                nursery.start_soon(do, member)

    def forget_heard(self) -> None:
        """Skip the events of the past for the next subscribers."""
        for member in self._members.values():
            member.heard = None

    async def gather(self, what: str, within_s: float, **facts: Any) -> list[Any]:
        """Return the parts of all answers that came."""
        parts: list[Any] = []

        async def ask(member: WorkerClient) -> None:
            try:
                parts.extend(await member.ask(what, within_s, **facts))
            except NoAnswer:
                return

        await self.each(ask)
        return parts
