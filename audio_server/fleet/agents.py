"""The agents of a fleet: each has devices, and is asked for them and told to act on them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

import trio

from audio_server.cluster.interface import NoAnswer
from audio_server.device.behaviour import Button
from audio_server.fleet.announcements import Order, Reports
from audio_server.fleet.event_numbers import EventNumbers
from audio_server.fleet.interface import GONE, Event, Outcome, Outcomes
from audio_server.fleet.sightings import Sighting
from audio_server.fleet.subscribers import Subscribers
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

if TYPE_CHECKING:
    from audio_server.fleet.events_of_nodes import EventsOfNodes

Take: TypeAlias = Callable[[Iterable[Sighting]], None]
"""Takes sightings into the inventory."""

DeviceIds: TypeAlias = Sequence[str] | None
"""Some devices, or all (None)."""


A = TypeVar("A")
T = TypeVar("T")


class SeenRow(NamedTuple):
    """The facts of a device (`snapshot.facts`), and the time when it connected last."""

    device_id: str
    came_ns: int
    facts: dict[str, Any]


class Actor(Protocol):
    """An agent that acts on its devices; the methods are those of `Fleet`. An action without an
    answer may have been done or not, and `reports` and `events` raise `NoAnswer`."""

    async def press_each(self, device_ids: DeviceIds, button: Button) -> Outcomes: ...

    async def play(self, device_ids: DeviceIds, clip: int | str) -> Outcomes: ...

    async def stop(self, device_ids: DeviceIds) -> Outcomes: ...

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes: ...

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress: ...

    async def reports(self, announcement_id: str) -> Reports: ...

    async def events(self, device_id: str | None) -> Sequence[Event]: ...


@dataclass(slots=True)
class Gaps:
    """The part of devices that no agent can be asked for."""

    missing: list[str] = field(default_factory=list)
    """The names of nodes that are missing."""

    gone: Outcome = GONE
    """The outcome of an action on a device that no agent has."""


class Agents(Protocol):
    """The agents that there are now, and the devices of each."""

    numbers: EventNumbers
    """Those of events."""

    @property
    def subscribers(self) -> Subscribers | EventsOfNodes:
        """Those to events, which are given them while `run` is running."""

    async def run(self) -> None:
        """Give events to subscribers until cancelled, which ends all subscriptions."""

    def shares(
        self, device_ids: DeviceIds, gaps: Gaps
    ) -> AsyncGenerator[tuple[Actor, DeviceIds], None]:
        """Yield the agents with these devices, or all agents, and which devices each has; fill the
        gaps."""

    def offering(self, order: Order) -> AbstractAsyncContextManager[Order]:
        """Let the agents have the sound of an order for the block; gives the order for them."""


async def gather(agents: Iterable[A], ask: Callable[[A], Awaitable[T]]) -> list[T]:
    """Return the answers of all agents that give one, in their order."""
    answers: dict[int, T] = {}

    async def ask_one(number: int, agent: A) -> None:
        with suppress(NoAnswer):
            answers[number] = await ask(agent)

    async with trio.open_nursery() as nursery:
        for number, agent in enumerate(agents):
            nursery.start_soon(ask_one, number, agent)
    return [answers[number] for number in sorted(answers)]
