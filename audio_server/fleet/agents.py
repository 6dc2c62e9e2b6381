"""The agents of a fleet: each has devices, and is asked for them and told to act on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

from audio_server.device.behaviour import Button
from audio_server.fleet.announcements import Order, Reports
from audio_server.fleet.change_tracker import Changes
from audio_server.fleet.event_numbers import EventNumbers
from audio_server.fleet.interface import Event, Outcome, Outcomes
from audio_server.fleet.sightings import Sighting
from audio_server.fleet.subscribers import Subscribers
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

Take: TypeAlias = Callable[[Iterable[Sighting]], None]

DeviceIds: TypeAlias = Sequence[str] | None
"""Some devices, or all (None)."""


class SeenRow(NamedTuple):
    """The facts of a device (`snapshot.facts`), and the time when it connected last."""

    device_id: str
    came_ns: int
    facts: dict[str, Any]


class Actor(Protocol):
    """An agent that acts on its devices; the methods are those of `Fleet`, on `DeviceIds`."""

    async def press_each(self, device_ids: DeviceIds, button: Button) -> Outcomes: ...

    async def play(self, device_ids: DeviceIds, clip: int | str) -> Outcomes: ...

    async def stop(self, device_ids: DeviceIds) -> Outcomes: ...

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes: ...

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress: ...

    async def reports(self, announcement_id: str) -> Reports: ...

    async def events(self, device_id: str | None) -> Sequence[Event]: ...


class Agent(Actor, Protocol):
    """The devices of one process. Methods raise `NoAnswer`; an action may have been done then."""

    @property
    def node(self) -> str:
        """Its name, which no other agent ever had."""

    @property
    def silent(self) -> Outcome:
        """The outcome of an action without an answer."""

    async def rows(self, device_ids: DeviceIds) -> Sequence[SeenRow]:
        """Return devices that are connected; of those that are named also the last row of one that
        was lately."""

    async def changes(self) -> Sequence[Changes]:
        """Return what has changed since the last call; all devices, if that has failed."""

    async def collect(self, take: Take, *, everything: bool) -> None:
        """Give sightings that are due, or all."""

    async def renamed(self, device_id: str, name: str | None) -> None:
        """Note an event."""

    async def forgotten(self, device_id: str) -> None:
        """Drop the history of a device that is away."""


class Agents(Protocol):
    """The agents that there are now, and what each has."""

    @property
    def numbers(self) -> EventNumbers:
        """Those of events."""

    @property
    def subscribers(self) -> Subscribers:
        """Those to events, which are given them while `run` is running."""

    async def run(self) -> None:
        """Give events to subscribers until cancelled, which ends all subscriptions."""

    def all(self) -> Iterable[Agent]:
        """Return them."""

    def shares(self, device_ids: DeviceIds) -> Iterable[tuple[Agent, DeviceIds]]:
        """Return the agents with these devices, or all agents, and which devices each has."""

    def knows(self, device_id: str) -> bool:
        """Whether a device is connected, or was lately."""

    def is_connected(self, device_id: str) -> bool:
        """Whether an agent has a device now."""

    def offering(self, order: Order) -> AbstractAsyncContextManager[Order]:
        """Let the agents have the sound of an order for the block; gives the order for them."""

    def follow(self, lost: Callable[[str], None]) -> None:
        """Have `lost` called with the name of each agent that is gone."""
