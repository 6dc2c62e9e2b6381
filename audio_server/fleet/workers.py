"""The processes of workers as agents, which are asked over the cluster of the machine.

A worker that is gone or hangs has no devices until it is replaced or answers again; it delays the
others for as long as its first missing answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn

import structlog
import trio

from audio_server.cluster.interface import NoAnswer, Nodes, TooLate
from audio_server.fleet.agents import Actor, DeviceIds, Gaps, SeenRow, Take
from audio_server.fleet.announcements import Order
from audio_server.fleet.asked_agent import AskedAgent, with_sha
from audio_server.fleet.change_tracker import LOOK_S, Changes, EncodedRow
from audio_server.fleet.event_numbers import EventNumbers
from audio_server.fleet.interface import Event, Outcome
from audio_server.fleet.sightings import Sighting
from audio_server.fleet.subscribers import Subscribers

LATE_S = 2.0
"""A worker that does not answer for so long is left out until it does."""

PING_S = 5.0

log = structlog.get_logger()


class WorkerAgent(AskedAgent):
    """Worker number `worker`, for as long as its process lives, which is the node `node`. `on_late`
    is called when it is late, and returns whether `wait_back` runs: without it the worker is asked
    again."""

    def __init__(
        self,
        nodes: Nodes,
        node: str,
        worker: int,
        numbers: EventNumbers,
        on_late: Callable[[WorkerAgent], bool],
    ) -> None:
        self.node = node
        self.heard: int | None = 0
        """Number of the last event that went to subscribers: none of a new process. None skips
        the events of the past."""
        self._nodes = nodes
        self._worker = worker
        self._numbers = numbers
        self._on_late = on_late
        self._seen = 0  # number of the last answer with sightings that was taken
        self._collecting = trio.Lock()
        self._is_known = False
        self._is_late = False
        self._has_answered = False

    async def ask(self, what: str, within_s: float = LATE_S, **facts: Any) -> list[Any]:
        """Return the parts of its answer. Raises `NoAnswer`, at once while it is late."""
        if self._is_late:
            raise NoAnswer
        try:
            parts = await self._nodes.ask(self.node, what, within_s, **facts)
        except TooLate:
            self._is_late = self._is_late or self._on_late(self)
            raise
        self._has_answered = True
        return parts

    def silence(self, _: NoAnswer) -> tuple[Outcome, Sequence[str]]:
        """Return the outcome of an action without an answer; workers have no names."""
        return Outcome("failed", "its worker gave no answer"), ()

    async def wait_back(self) -> None:
        """Return when a late worker answers again, or is gone."""
        if self._has_answered:
            log.warning("worker does not answer", worker=self._worker)
        else:  # it is being started: subscribers get all of its rows
            log.info("worker does not answer yet", worker=self._worker)
        try:
            if await self._answers():
                log.info("worker answers", worker=self._worker)
        finally:
            self._is_late = False

    async def _answers(self) -> bool:
        while True:
            try:
                await self._nodes.ask(self.node, "ping", PING_S)
            except TooLate:
                await trio.sleep(LATE_S)
            except NoAnswer:
                return False
            else:
                return True

    async def rows(self, device_ids: DeviceIds) -> Sequence[SeenRow]:
        """Return devices."""
        parts = await self.ask("rows", device_ids=device_ids)
        return [SeenRow(*told) for part in parts for told in part]

    async def changes(self) -> Sequence[Changes]:
        """Return the changes since the last answer; all devices, if there was none."""
        is_known, self._is_known = self._is_known, False
        parts = await self.ask("changes", anew=not is_known)
        self._is_known = True
        return [
            Changes({device_id: EncodedRow(*row) for device_id, row in rows.items()}, gone)
            for rows, gone in parts
        ]

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        return self._numbered(await super().events(device_id))

    async def fresh(self) -> Sequence[Event]:
        """Return the events since the last call."""
        ((self.heard, events),) = await self.ask("fresh", after=self.heard)
        return self._numbered(events)

    def _numbered(self, events: Iterable[Event]) -> list[Event]:
        return [{**event, "seq": self._numbers.of_all(event["seq"])} for event in events]

    async def collect(self, take: Take, *, everything: bool) -> None:
        """Give sightings that are due, or all."""
        # One question at a time: a node gives sightings again that it does not know to be taken.
        async with self._collecting:
            if self._is_late:
                raise NoAnswer
            asked = {"heard": self._seen, "everything": everything}
            parts = await self._nodes.ask(self.node, "seen", LATE_S, **asked)
            with trio.CancelScope(shield=True):  # half an answer would be lost, or count twice
                for self._seen, sightings in parts:
                    take(Sighting(*one) for one in sightings)
                    await trio.lowlevel.checkpoint()

    async def renamed(self, device_id: str, name: str | None) -> None:
        """Have an event noted."""
        await self.ask("renamed", device_id=device_id, name=name)

    async def forgotten(self, device_id: str) -> None:
        """Have the history of a device dropped."""
        await self.ask("forgotten", device_id=device_id)


class Workers:
    """The `Agents` of a machine: those of `nodes` that are included."""

    def __init__(self, nodes: Nodes) -> None:
        self.numbers = EventNumbers()
        self.subscribers = Subscribers(lambda _, event: event)
        self.is_connected = nodes.is_connected
        self._nodes = nodes
        self._agents: dict[str, WorkerAgent] = {}
        self._lost: Callable[[str], None] = lambda _: None
        self._nursery: trio.Nursery | None = None

    @contextmanager
    def including(self, node: str, worker: int) -> Iterator[None]:
        """Include the devices of a node, which is that worker, for the block."""
        self._agents[node] = WorkerAgent(self._nodes, node, worker, self.numbers, self._on_late)
        try:
            yield
        finally:
            del self._agents[node]
            self._lost(node)

    def follow(self, lost: Callable[[str], None]) -> None:
        """Have `lost` called with the node of each worker that is gone."""
        self._lost = lost

    async def shares(
        self, device_ids: DeviceIds, _gaps: Gaps
    ) -> AsyncGenerator[tuple[Actor, DeviceIds], None]:
        """Yield the workers with these devices, or all, and which devices each has."""
        found: dict[WorkerAgent, list[str]] = {agent: [] for agent in self.all()}
        for device_id in device_ids or ():
            if (agent := self.of(device_id)) is not None:
                found[agent].append(device_id)
        for agent, ids in found.items():
            if device_ids is None or ids:
                yield agent, ids if device_ids is not None else None

    def all(self) -> Sequence[WorkerAgent]:
        """Return the workers."""
        return list(self._agents.values())

    def of(self, device_id: str) -> WorkerAgent | None:
        """Return the worker that has a device, or had it last."""
        return self._agents.get(self._nodes.owner(device_id) or "")

    def knows(self, device_id: str) -> bool:
        """Whether a device is connected, or was lately."""
        return self._nodes.owner(device_id) is not None

    @asynccontextmanager
    async def offering(self, order: Order) -> AsyncIterator[Order]:
        """Let workers fetch the sound of an order for the block."""
        named = await with_sha(order)
        with self._nodes.offering({named.sha: order.sound.frames}):
            yield named

    # -- events

    async def run(self) -> NoReturn:
        """Ask the workers for events for ever, while there is a subscriber."""
        async with trio.open_nursery() as self._nursery:
            try:
                self._nursery.start_soon(self.subscribers.run)
                await self._follow()
            finally:
                self._nursery = None
        raise AssertionError

    def _on_late(self, agent: WorkerAgent) -> bool:
        if self._nursery is None:  # there are no pages, and few questions
            return False
        self._nursery.start_soon(agent.wait_back)
        return True

    async def _follow(self) -> NoReturn:
        while True:
            await self.subscribers.wait_followed()
            for agent in self._agents.values():
                agent.heard = None  # skip the events of the past
            while self.subscribers.are_there:
                async with trio.open_nursery() as nursery:
                    for agent in self._agents.values():
                        nursery.start_soon(self._hear, agent)
                await trio.sleep(LOOK_S)

    async def _hear(self, agent: WorkerAgent) -> None:
        try:
            events = await agent.fresh()
        except NoAnswer:
            return
        for event in events:
            self.subscribers.note(event["device"], event)
