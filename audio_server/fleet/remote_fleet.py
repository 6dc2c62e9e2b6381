"""The fleet of devices that are connected to the processes of many workers.

The supervisor asks the workers, each over a stream of its own, and puts their answers together.
It asks for rows and events only while there are subscribers. A worker that is gone or hangs has no
devices until it is replaced or answers again; it delays the others for as long as its first missing
answer. The history of a device is with its worker, and ends with that process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import trio

from audio_server.device.behaviour import Button
from audio_server.fleet.broadcast import Broadcast
from audio_server.fleet.change_tracker import Changes, EncodedRow
from audio_server.fleet.history import KEPT, LATEST
from audio_server.fleet.interface import DONE, GONE, Event, Outcome, Outcomes, Row
from audio_server.fleet.ipc_client import Clock, NoAnswer
from audio_server.fleet.local import LOOK_S
from audio_server.fleet.merge import Merge
from audio_server.fleet.names import MemoryNames, NameStore, checked_name
from audio_server.fleet.subscribers import Subscribers
from audio_server.fleet.worker_client import WorkerClient
from audio_server.fleet.worker_clients import WorkerClients

ROWS_S = 2.0
ACT_S = 10.0
"""How long a worker may take to do something to all its devices."""

PRESS_S = 3.0


class RemoteFleet:
    """A `Fleet`. `worker_of` returns the worker of a device, also the last one."""

    def __init__(
        self,
        worker_of: Callable[[str], int | None],
        names: NameStore | None = None,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._names: NameStore = MemoryNames() if names is None else names
        self._broadcast = Broadcast(self._names)
        self._merge = Merge()
        self._subscribers = Subscribers(lambda _, event: event)
        self._members = WorkerClients(worker_of, self._merge.lose, clock)

    async def attach(self, number: int, stream: trio.abc.Stream) -> None:
        """Include the devices of a worker until its process is gone. Closes the stream."""
        await self._members.attach(number, stream)

    async def run(self) -> NoReturn:
        """Ask the workers for ever, while there is a subscriber. A cancel ends that."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._subscribers.run)
            nursery.start_soon(self._follow)
            await self._watch()

    async def _watch(self) -> NoReturn:
        try:
            while True:
                await self._broadcast.wait_watched()
                await self._members.each(self._look_at)
                await self._broadcast.tell(self._merge.flush())
                await trio.sleep(LOOK_S)
        finally:
            self._broadcast.close()

    async def _look_at(self, member: WorkerClient) -> None:
        try:
            parts = await member.ask("changes", anew=not member.is_known)
        except NoAnswer:
            member.is_known = False
            self._merge.lose(member.number)
            return
        if not self._members.has(member):
            return  # it has ended with this answer
        member.is_known = True
        for rows, gone in parts:
            told = {device_id: EncodedRow(*row) for device_id, row in rows.items()}
            self._merge.take(member.number, Changes(told, gone))

    async def _follow(self) -> NoReturn:
        while True:
            await self._subscribers.wait_followed()
            self._members.forget_heard()
            while self._subscribers.are_there:
                await self._members.each(self._hear)
                await trio.sleep(LOOK_S)

    async def _hear(self, member: WorkerClient) -> None:
        try:
            ((last, events),) = await member.ask("fresh", after=member.heard)
        except NoAnswer:
            return
        member.heard = last
        for event in events:
            self._subscribers.note(event["device"], event)

    # -- queries

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return self._broadcast.is_full or self._subscribers.is_full

    def watching(self) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block."""
        return self._broadcast.watching()

    def following(
        self, device_id: str | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[Event]]:
        """Give the events from now on, for the block."""
        return self._subscribers.following(device_id)

    async def rows(self) -> Sequence[Row]:
        """Return all devices."""
        return self._newest(await self._members.gather("rows", ROWS_S))

    async def row(self, device_id: str) -> Row | None:
        """Return one device."""
        rows = self._newest(await self._members.gather("row", ROWS_S, device_id=device_id))
        return rows[0] if rows else None

    def _newest(self, batches: Iterable[list[tuple[str, int, Row]]]) -> list[Row]:
        """A row for each device: that of the worker to which it connected last."""
        newest: dict[str, tuple[int, Row]] = {}
        for device_id, came_ns, facts in (told for batch in batches for told in batch):
            if came_ns >= newest.get(device_id, (0,))[0]:
                newest[device_id] = came_ns, facts
        return [
            {"id": device_id, "name": self._names.get(device_id), **facts}
            for device_id, (_, facts) in newest.items()
        ]

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        batches = await self._members.gather("events", ROWS_S, device_id=device_id)
        told = sorted((one for batch in batches for one in batch), key=lambda one: one["at"])
        return told[-(LATEST if device_id is None else KEPT) :]

    # -- actions

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button."""
        member = self._members.of(device_id)
        if member is None:
            return GONE
        facts = {"device_id": device_id, "button": button.name}
        return (await member.act("press", PRESS_S, [device_id], **facts))[device_id]

    async def play(self, device_ids: Sequence[str] | None, clip: int) -> Outcomes:
        """Play a clip."""
        return await self._act("play", device_ids, clip=clip)

    async def stop(self, device_ids: Sequence[str] | None) -> Outcomes:
        """Stop playback."""
        return await self._act("stop", device_ids)

    async def _act(self, what: str, device_ids: Sequence[str] | None, **facts: Any) -> Outcomes:
        """Run an action in each worker, on its own devices."""
        outcomes: dict[str, Outcome] = dict.fromkeys(device_ids or (), GONE)

        async def act(member: WorkerClient) -> None:
            here = None if device_ids is None else self._members.at(member, device_ids)
            if here is None or here:
                asked = {"device_ids": here, **facts}
                outcomes.update(await member.act(what, ACT_S, here or (), **asked))

        await self._members.each(act)
        return outcomes

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name."""
        checked = None if name is None else checked_name(name)
        member = self._members.of(device_id)
        if not self._members.knows(device_id) and self._names.get(device_id) is None:
            return GONE
        self._names.put(device_id, checked)
        self._broadcast.rename(device_id)
        if member is not None:
            await member.act("renamed", PRESS_S, (), device_id=device_id, name=checked)
        await self._names.wait_durable(device_id)
        return DONE
