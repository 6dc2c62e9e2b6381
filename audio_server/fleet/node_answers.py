"""The answers of a node to the other nodes of its cluster: about its own fleet, and acts on it.

The questions are the methods of `Fleet`, so a node may be one process or several.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import trio

from audio_server.cluster.peers import TimedQuestion
from audio_server.fleet.agent_answers import AgentAnswers, Fetch, in_parts
from audio_server.fleet.answering import Answering, Parts
from audio_server.fleet.change_tracker import LOOK_S
from audio_server.fleet.event_numbers import PROCESSES
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Event, Row
from audio_server.fleet.listing import Keys, Wanted
from audio_server.fleet.recent_keys import KeysFrom, Places, RecentKeys
from audio_server.fleet.row_news import is_news

ROWS_AT_ONCE = 50
TAGS_AT_ONCE = 1000
"""In one part of an answer."""


class NodeAnswers:
    """Those of the node whose devices `fleet` has. `fetch` gets the sound of announcements."""

    def __init__(self, fleet: Fleet, fetch: Fetch) -> None:
        self._fleet = fleet
        self._recent = RecentKeys(fleet)
        answers: Mapping[str, Callable[..., Parts]] = {
            **AgentAnswers(fleet, fetch).by_name,
            "keys": self._keys,
            "connected": self._connected,
            "places": self._places,
            "keys_from": self._keys_from,
            "rows": self._rows,
            "follow": self._follow,
            "follow_events": self._follow_events,
            "forget": self._forget,
        }
        self._answering = Answering(answers)

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Answer for the block."""
        return self._answering.at_work()

    def asked(self, question: TimedQuestion) -> None:
        """Answer a question soon, and by its deadline or never."""
        self._answering.asked(question, question.left_s)

    # -- queries

    async def keys(self, wanted: Wanted, *, recent: bool = False) -> Keys:
        """Return the keys of the rows that are wanted, which may be as of a moment ago."""
        if not recent:
            return await self._fleet.keys(wanted)
        keys, found, _ = await self._recent.first(wanted)
        return Keys(keys, found)

    async def places(self, wanted: Wanted, count: int) -> Places:
        """Return keys, evenly spaced, as of a moment ago."""
        return await self._recent.places(wanted, count)

    async def keys_from(self, wanted: Wanted) -> KeysFrom:
        """Return keys that follow `wanted.after`, as of a moment ago."""
        return await self._recent.first(wanted)

    async def _keys(self, wanted: list[Any], recent: bool) -> Parts:
        yield await self.keys(msgspec.convert(wanted, Wanted), recent=recent)

    async def connected(self) -> dict[str, int]:
        """Return how many devices with each tag are connected here."""
        counts = (await self._fleet.tag_counts()).tags
        return {tag: one.connected for tag, one in counts.items() if one.connected}

    async def _connected(self) -> Parts:
        for some in in_parts(list((await self.connected()).items()), TAGS_AT_ONCE):
            yield dict(some)

    async def _places(self, wanted: list[Any], count: int) -> Parts:
        yield await self.places(msgspec.convert(wanted, Wanted), count)

    async def _keys_from(self, wanted: list[Any]) -> Parts:
        yield await self.keys_from(msgspec.convert(wanted, Wanted))

    async def _rows(self, device_ids: list[str]) -> Parts:
        for some in in_parts(device_ids, ROWS_AT_ONCE):
            yield await self._fleet.rows_of(some)

    async def _follow(self, device_ids: list[str], for_s: float) -> Parts:
        """Give the rows that change, for a while."""
        until = trio.current_time() + for_s
        rows = await self._fleet.rows_of(device_ids)
        if left := [row for row in rows if not row["connected"]]:  # since the window was chosen
            yield left
        shown: dict[str, Row] = {row["id"]: row for row in rows}
        while trio.current_time() < until:
            await trio.sleep(LOOK_S)
            rows = await self._fleet.rows_of(device_ids)
            news = [row for row in rows if is_news(shown.get(row["id"]), row)]
            shown |= {row["id"]: row for row in news}
            for some in in_parts(news, ROWS_AT_ONCE):
                yield some

    async def _follow_events(
        self, device_id: str | None, after: dict[int, int], recent_s: float, for_s: float
    ) -> Parts:
        """Give events as they happen, for a while; first those after the ones with the numbers
        `after`, one of each process, and of other processes those of the last `recent_s`."""
        until, since = trio.current_time() + for_s, time.time() - recent_s
        last = dict(after)

        def is_fresh(event: Event, *, is_late: bool) -> bool:
            process = event["seq"] % PROCESSES
            if process in last:
                is_new = event["seq"] > last[process]
            else:
                is_new = not is_late or event["at"] >= since
            if is_new:
                last[process] = event["seq"]
            return bool(is_new)

        with self._fleet.following(device_id) as events:
            for event in await self._fleet.events(device_id):
                if is_fresh(event, is_late=True):
                    yield [event]
            while (happened := await _next_event(events, until)) is not None:
                if is_fresh(happened, is_late=False):
                    yield [happened]

    async def _forget(self, device_id: str) -> Parts:
        yield {device_id: await self._fleet.forget(device_id)}


async def _next_event(events: trio.MemoryReceiveChannel[Event], until: float) -> Event | None:
    with trio.move_on_at(until):
        try:
            return await events.receive()
        except trio.EndOfChannel:
            return None
    return None
