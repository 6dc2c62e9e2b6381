"""The inventory that all nodes share: devices that were ever seen, with their facts.

The facts are in the engine: a row for each device, written when it connects and disconnects, and
otherwise every ten minutes at most. Counts are those of all nodes together, the rest is the newest.
Devices of a node that is gone are away after a minute. Sightings that a node cannot write are kept
until the engine is back; a device that was forgotten meanwhile does not come back from them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count, islice
from typing import Any, Literal, NamedTuple, NoReturn, TypeAlias

import trio

from audio_server.cluster.away import Away, AwayDevices, devices_at, without_rows
from audio_server.cluster.engine_clock import EngineClock
from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.link import Session
from audio_server.cluster.scripts import ALIVE, GIVE_UP, LOST, PUT_SEEN, SEE
from audio_server.cluster.sightings import Pending, Seen
from audio_server.device.entry import Entry

AWAY_MAX = 50_000
"""Devices that are kept while they are away, besides those with a name, tags or a token."""

FRESH_S = 1.0
"""How old a list of devices that are away may be."""

FLUSH_S = 1.0
ALIVE_S = 10.0

LAST_S = 1.0
"""How long a node that ends waits for its last sightings to be written."""

READ_S = 60.0
"""How often devices that are away are read without a request for them."""

AT_ONCE = 50
"""Rows that are written at a time, so that claims wait for no more."""

GIVEN_UP = AWAY_MAX // 20
"""How many more than there is no room for are given up, so that it is not done all the time."""


How: TypeAlias = Literal["new", "known", "over"]

_NEVER = Entry(0.0, 0.0, None, 0, 0, 0, 0, None)


class Totals(NamedTuple):
    """The counts of all nodes together for a device, and when it was first seen."""

    first_seen: float
    connections: int
    takes: int
    errors: int


class SharedInventory:
    """A `Part` of a node. Set `node`, the node's id, `name`, its name for people, and
    `victims`, which returns devices that may be given up, before it runs."""

    channels = ("as:inventory",)

    def __init__(self) -> None:
        self.node = ""
        self.name = ""
        self.here: Container[str] = ()
        self.victims: Callable[[int], Awaitable[Iterable[str]]] = _none
        self.own: Callable[[], Iterable[tuple[str, Entry]]] = lambda: ()
        self.forgotten: Callable[[str], None] = lambda device_id: None
        self.is_whole = False
        """Whether the devices that are away were ever read."""
        self._away = AwayDevices(self._on_forgotten, self._on_changed)
        self._pending = Pending()
        self._totals: dict[str, Totals] = {}
        self._rowed: set[str] = set()
        self._clock = EngineClock()
        self._session: Session | None = None
        self._numbers = count(1)
        self._over = 0
        self._began_us = 0

    # Queries

    @property
    def is_up(self) -> bool:
        """Whether the devices that are away can be read."""
        return self._session is not None and self.is_whole

    @property
    def away(self) -> dict[str, Away]:
        """The devices that are away, as they were last read; those seen last at the end."""
        return self._away.by_id

    async def refresh(self) -> bool:
        """Read the changes, and return whether that was done `FRESH_S` ago at most."""
        try:
            if self._session is None:
                return False
            await self._away.read(self._session, FRESH_S)
        except ClusterDown:
            return False
        return True

    async def unseen(self, device_ids: Iterable[str]) -> list[str]:
        """Return those of some devices that no node has ever seen. Raises `ClusterDown`."""
        if self._session is None:
            raise ClusterDown
        asked = [one for one in device_ids if one not in self._rowed and one not in self.away]
        found = await without_rows(self._session, asked)
        self._rowed.update(set(asked).difference(found))
        return found

    def entry(self, device_id: str, own: Entry | None) -> Entry | None:
        """Return the facts of a device of all nodes, of which this node has its `own`."""
        away, totals = self.away.get(device_id), self._totals.get(device_id)
        if away is not None:
            entry: Entry | None = away.entry
        elif totals is not None and own is not None:
            entry = own._replace(**totals._asdict())
        else:
            return own
        new = self._pending.of(device_id)
        if new is None or entry is None:
            return entry
        return entry._replace(
            connections=entry.connections + new.connections,
            takes=entry.takes + new.takes,
            errors=entry.errors + new.errors,
        )

    def node_of(self, device_id: str) -> str | None:
        """Return the name of the node that a device which is away was last connected to."""
        away = self.away.get(device_id)
        return None if away is None else away.node

    def own_away(self) -> list[str]:
        """Return the devices that are away as far as this node knows by itself."""
        mine = [key for key, one in self.away.items() if one.node == self.name]
        known = dict.fromkeys([*mine, *self._pending.gone()])
        return [key for key in known if key not in self.here]

    # News of this node's devices

    def saw(self, seen: Seen, age_s: float) -> None:
        """Take news of a device, which are `age_s` old."""
        seen = seen._replace(seen_at=self._clock.read() - max(0.0, age_s))
        is_urgent = bool(seen.connections) or not seen.is_here
        self._pending.add(seen, trio.current_time(), is_urgent=is_urgent)

    def forget(self, device_id: str) -> None:
        """Drop all that is known of a device."""
        self._away.by_id.pop(device_id, None)
        self._totals.pop(device_id, None)
        self._rowed.discard(device_id)
        self._pending.drop(device_id)

    def _on_forgotten(self, device_id: str) -> None:
        if device_id not in self.here:
            self.forget(device_id)
            self.forgotten(device_id)

    def _on_changed(self, device_id: str, is_here: bool) -> None:
        self._rowed.add(device_id) if is_here else self._rowed.discard(device_id)

    # As a part

    def heard(self, channel: str, text: str) -> None:
        """Take no message: there are none."""

    async def run(self, session: Session) -> None:
        """Write and read until cancelled."""
        with self.using(session):
            began_us, before = self._began_us, dict(self.away)
            await self._live(session)
            is_lost = began_us not in (0, self._began_us)
            await self._away.read(session)
            self._see_again()
            await self._see_ends(session)
            if is_lost or not self.is_whole:
                await self._write_own(session)
            if is_lost:
                await self._write_lost(session, before)
            self.is_whole = True
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, session)
                nursery.start_soon(self._keep_alive, session)
                nursery.start_soon(self._keep_reading, session)

    @contextmanager
    def using(self, session: Session) -> Iterator[None]:
        """Have a session for the block."""
        self._session = session
        try:
            yield
        finally:
            self._session = None

    async def _keep_alive(self, session: Session) -> NoReturn:
        while True:
            await trio.sleep(ALIVE_S)
            await self._live(session)

    async def _keep_reading(self, session: Session) -> NoReturn:
        while True:
            await trio.sleep(READ_S)
            await self._away.read(session, READ_S / 2)

    async def _live(self, session: Session) -> None:
        """Show that the node lives, and have devices of nodes that do not be away."""
        asked_at = self._clock.read()
        now_us, began_us, *gone = await session.call(ALIVE, "as:at", self.node)
        self._clock.told(asked_at, int(now_us) / 1e6)
        for node in gone:
            while int((await session.call(LOST, "as:at", node, AT_ONCE))[0]):
                pass
        self._began_us = int(began_us)

    # Writing

    async def _write(self, session: Session) -> NoReturn:
        while True:
            await self._flush(session)
            if self._over:
                over, self._over = self._over, 0
                await self._away.read(session)
                victims = await self.victims(over + GIVEN_UP)
                await _each(victims, lambda one: session.call(GIVE_UP, row_key(one)))
            await trio.sleep(FLUSH_S)

    async def finish(self) -> None:
        """Write all that is known, within `LAST_S`: the node is about to end."""
        self._pending.hurry(trio.current_time())
        if self._session is not None:
            with trio.move_on_after(LAST_S, shield=True):
                await self._flush(self._session)

    async def _flush(self, session: Session) -> None:
        """Write the sightings that are due."""
        now = trio.current_time()
        while batch := list(self._pending.take(now, AT_ONCE)):
            async with trio.open_nursery() as nursery:
                for seen in batch:
                    nursery.start_soon(self._tell, session, seen)

    async def _tell(self, session: Session, seen: Seen) -> None:
        seen_us = round(1e6 * (self._clock.nearest() - self._clock.read() + seen.seen_at))
        if seen.is_here:
            seen_us = round(1e6 * self._clock.nearest())
        facts = seen.address or "", seen.connections, seen.takes, seen.errors
        more = seen.mode, seen.leds or "", seen.firmware or "", AWAY_MAX
        seen = seen._replace(number=seen.number or f"{self.node}:{next(self._numbers)}")
        args = self.node, self.name, seen_us, int(seen.is_here), *facts, *more, seen.number
        hear = partial(self._on_told, seen)
        await session.ask(hear, SEE, row_key(seen.device_id), *args)

    def _on_told(self, seen: Seen, answer: Any) -> None:
        device_id, now = seen.device_id, trio.current_time()
        if isinstance(answer, ClusterDown):
            self._pending.put_back(seen, now)
        elif answer[0] == "later":
            self._pending.put_back(seen._replace(number=""), now + FLUSH_S)
        elif answer[0] == "seen":
            self._over = int(answer[1])
            self._totals.pop(device_id, None)
            self._away.put(device_id, answer[6:])
            if seen.is_here:
                first, *counts = (int(number) for number in answer[2:6])
                self._totals[device_id] = Totals(round(first / 1e6, 3), *counts)
        else:  # it was forgotten since
            self._totals.pop(device_id, None)

    def _see_again(self) -> None:
        """See all devices that are connected once more: they may have been taken for lost."""
        now, read_at = trio.current_time(), self._clock.read()
        for device_id, entry in list(self.own()):
            if device_id in self.here:
                seen = Seen(device_id, read_at, True, entry.address, 0, 0, 0, *entry[6:])
                self._pending.add(seen, now, is_urgent=True)

    async def _see_ends(self, session: Session) -> None:
        """See the ends of devices again that are connected to this node for the engine alone: it
        may have lost the last moments, or this node some of too many sightings."""
        own = dict(self.own())
        async for device_id in devices_at(session, self.node):
            if device_id not in self.here and self._pending.of(device_id) is None:
                entry = own.get(device_id, _NEVER)
                end = Seen(device_id, 0.0, False, entry.address, 0, 0, 0, *entry[6:])
                self.saw(end, time.time() - entry.last_seen)

    async def _write_own(self, session: Session) -> None:
        """Write the facts that this node has from before there was an inventory in the engine;
        those of devices that the engine should know, and does not, are dropped."""
        began_at = self._began_us / 1e6

        async def write(one: tuple[str, Entry]) -> None:
            device_id, entry = one
            is_older = not began_at or entry.last_seen < began_at
            how: How = "new" if is_older else "known"
            if await put_seen(session, device_id, entry, self.name, how) == "forgotten":
                self._on_forgotten(device_id)

        own = list(self.own())
        missing = [one for one in own if one[0] not in self.here and one[0] not in self.away]
        await _each(missing, write)

    async def _write_lost(self, session: Session, before: Mapping[str, Away]) -> None:
        """Write the facts of devices of all nodes that the engine had before."""

        async def write(one: tuple[str, Away]) -> None:
            device_id, (entry, node) = one
            await put_seen(session, device_id, entry, node or "")

        await _each(before.items(), write)


async def _none(most: int) -> Iterable[str]:
    return ()


async def put_seen(
    session: Session, device_id: str, entry: Entry, node: str = "", how: How = "new"
) -> str:
    """Write the facts of a device: `new` ones over no others, of a `known` device none at all, and
    `over` those that are there, with the larger counts and the newest of the rest. Returns `done`,
    `there`, `forgotten` or `full`. Raises `ClusterDown`."""
    times = (round(1e6 * at) for at in (entry.first_seen, entry.last_seen))
    counts = entry.connections, entry.takes, entry.errors, entry.mode
    rest = entry.leds or "", entry.firmware or "", AWAY_MAX, how
    args = *times, node, entry.address or "", *counts, *rest
    result: str = (await session.call(PUT_SEEN, row_key(device_id), *args))[0]
    return result


def row_key(device_id: str) -> str:
    """Return the key of a device's row."""
    return f"as:s:{device_id}"


async def _each(items: Iterable[Any], do: Callable[[Any], Any]) -> None:
    """Do something with each item, a few at a time."""
    left = iter(items)
    while some := list(islice(left, AT_ONCE)):
        async with trio.open_nursery() as nursery:
            for one in some:
                nursery.start_soon(do, one)
