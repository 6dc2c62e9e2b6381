"""The one class of a fleet: devices that are seen and acted on, whichever process has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from audio_server.device.behaviour import Button
from audio_server.fleet.agents import Actor, Agents, DeviceIds, Gaps, gather
from audio_server.fleet.announcements import Order, Reports
from audio_server.fleet.event_numbers import in_order
from audio_server.fleet.history import KEPT, LATEST
from audio_server.fleet.interface import (
    GONE,
    Event,
    NotReached,
    Outcome,
    Outcomes,
    OutcomesOfNodes,
    Row,
    missing_of,
)
from audio_server.fleet.judging import Begun
from audio_server.fleet.labels import Labels
from audio_server.fleet.listing import Wanted
from audio_server.fleet.rows import Rows
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress


class Fleet:
    """All devices, each by its id, at `agents`. `run` must be running, and the fleet `at_work`.

    `rows` are those of the devices, `labels` their names and tags: kept by this server, or shared
    by several. Their methods are the fleet's too. An agent without an answer delays the others
    until its deadline at most; its devices are left out, and a node of them is named as missing.
    """

    def __init__(self, agents: Agents, rows: Rows, labels: Labels) -> None:
        self._agents = agents
        self._rows = rows
        self._begun = Begun()
        self.labels = labels
        self.numbers = agents.numbers
        self.following = agents.subscribers.following
        self.at_work, self.collect_all = rows.at_work, rows.collect_all
        self.all, self.listed, self.keys = rows.all, rows.listed, rows.keys
        self.ids = rows.ids
        self.watching, self.forget = rows.watching, rows.forget
        self.tag_counts = rows.tag_counts
        self.rename, self.tag, self.tags_of = labels.rename, labels.tag, labels.tags_of
        self.tagged, self.follow_tags = labels.tagged, labels.follow_tags

    async def run(self) -> None:
        """Serve subscribers until cancelled; a cancel ends all subscriptions."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._agents.run)
            nursery.start_soon(self._rows.run)

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return self._rows.is_full or self._agents.subscribers.is_full

    # -- rows

    async def rows(self) -> Sequence[Row]:
        """Return all connected devices."""
        return await self.all(Wanted())

    async def away(self) -> Sequence[Row]:
        """Return all devices of the inventory that are not connected."""
        return await self.all(Wanted("offline"))

    async def row(self, device_id: str) -> Row | None:
        """Return one device, also one that is away; None for an unknown id. Raises `NotReached`
        where another node may have it that does not answer."""
        rows, missing = await self._rows.of([device_id])
        if not rows and missing:
            raise NotReached(f"it may be at a node that gave no answer: {', '.join(missing)}")
        return rows[0] if rows else None

    async def rows_of(self, device_ids: Sequence[str]) -> Sequence[Row]:
        """Return these devices, also those that are away; unknown ids are left out."""
        return (await self._rows.of(device_ids))[0]

    # -- events

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events of one device or of all (None), oldest first."""
        parts = await gather(await self._all(), lambda agent: agent.events(device_id))
        told = sorted((one for part in parts for one in part), key=in_order)
        return told[-(LATEST if device_id is None else KEPT) :]

    # -- actions

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button as the device itself would; return when the press is applied."""
        return (await self.press_each([device_id], button))[device_id]

    async def press_each(self, device_ids: DeviceIds, button: Button) -> Outcomes:
        """Press a button of some devices or of all (None) that are connected, a few at a time;
        return when that is applied. A cancel is as for `play`."""
        return await self._act(device_ids, lambda agent, ids: agent.press_each(ids, button))

    async def play(self, device_ids: DeviceIds, clip: int | str) -> Outcomes:
        """Play a clip now, by its mode, or by its name or title in the clips of each device, or
        the live channel of that name, on some devices or on all (None) that are connected. Their
        modes stay. A cancel leaves the devices of this process that follow as they are."""
        return await self._act(device_ids, lambda agent, ids: agent.play(ids, clip))

    async def stop(self, device_ids: DeviceIds) -> Outcomes:
        """Stop playback and empty the queue. Modes stay. A cancel is as for `play`."""
        return await self._act(device_ids, lambda agent, ids: agent.stop(ids))

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes:
        """Make an announcement on some devices or on all (None) that are connected; return when it
        plays or waits on each that is `done`. Each agent with devices of it fetches the sound once.
        A cancel is as for `play`."""
        async with self._agents.offering(order) as offered:
            return await self._act(device_ids, lambda agent, ids: agent.announce(ids, offered))

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, or say how far that is. The order must be given `again` every second or
        so: a trial that is not asked for ends, and the device is as before."""
        if (agent := self._begun.at(order.number)) is None:
            shares = self._agents.shares([device_id], Gaps())
            agent = self._begun.at(order.number, [one async for one, _ in shares])
        return Progress("gone") if agent is None else await agent.judge(device_id, order)

    async def reports(self, announcement_id: str) -> Reports:
        """Return what has become of an announcement on each device that took it, as far as it is
        known; empty for one that is unknown or long past."""
        parts = await gather(await self._all(), lambda agent: agent.reports(announcement_id))
        return {device_id: one for part in reversed(parts) for device_id, one in part.items()}

    async def _all(self) -> list[Actor]:
        return [agent async for agent, _ in self._agents.shares(None, Gaps())]

    async def _act(
        self, device_ids: DeviceIds, do: Callable[[Actor, DeviceIds], Awaitable[Outcomes]]
    ) -> Outcomes:
        """Run an action in each agent, on its own devices."""
        gaps = Gaps()
        outcomes = OutcomesOfNodes(dict.fromkeys(device_ids or (), GONE))
        missing: set[str] = set()

        async def act(agent: Actor, share: DeviceIds) -> None:
            done = await do(agent, share)
            outcomes.update(done)
            missing.update(missing_of(done))

        async with trio.open_nursery() as nursery:
            async for agent, share in self._agents.shares(device_ids, gaps):
                nursery.start_soon(act, agent, share)
        if gaps.gone != GONE:
            outcomes.update({key: gaps.gone for key, one in outcomes.items() if one == GONE})
        outcomes.missing = tuple(sorted({*missing, *gaps.missing}))
        return outcomes
