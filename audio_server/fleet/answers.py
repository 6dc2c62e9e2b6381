"""The answers of a node to questions about its devices, and its acts on them when asked.

Nothing is said unasked, so nothing piles up where the other end does not read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, TypeAlias

import trio

from audio_server.clips.clip import Clip
from audio_server.cluster.interface import ClusterDown, Question
from audio_server.device.behaviour import Button
from audio_server.device.events import DeviceEvent
from audio_server.device.registry import Devices
from audio_server.fleet import actions
from audio_server.fleet.announcements import Announcements, Order
from audio_server.fleet.answering import Answering, Parts
from audio_server.fleet.change_tracker import ChangeTracker
from audio_server.fleet.history import History
from audio_server.fleet.sightings import Sighting, Sightings
from audio_server.fleet.snapshot import Snapshot, facts
from audio_server.fleet.subscribers import BATCH

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Returns the blob of a SHA-256, as `Cluster.blob` does."""


class Answers:
    """Worker number `worker`. From now on it keeps the history of its devices, unless `records` is
    false, and counts for the inventory. `fetch` gets the sound of announcements."""

    def __init__(
        self, devices: Devices, worker: int, fetch: Fetch, *, records: bool = True
    ) -> None:
        self._devices = devices
        self._worker = worker
        self._look = ChangeTracker(devices, worker)
        self._history = History(self._look, worker)
        self._fetch = fetch
        self._announcements = Announcements()
        self._looking = trio.Lock()
        self._sightings = Sightings(devices)
        self._unheard: list[Sighting] = []
        self._seen_number = 0
        answers: Mapping[str, Callable[..., Parts]] = {
            "ping": self._ping,
            "changes": self._changes,
            "rows": self._rows,
            "row": self._row,
            "events": self._events,
            "fresh": self._fresh,
            "press": self._press,
            "play": self._play,
            "stop": self._stop,
            "announce": self._announce,
            "reports": self._reports,
            "renamed": self._renamed,
            "seen": self._seen_lately,
            "forgotten": self._forgotten,
        }
        self._answering = Answering(answers)
        if records:
            devices.subscribe(self._history)

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Answer for the block."""
        return self._answering.at_work()

    def asked(self, question: Question) -> None:
        """Answer a question soon."""
        self._answering.asked(question)

    # -- queries

    async def _ping(self) -> Parts:
        yield None

    async def _changes(self, anew: bool) -> Parts:
        async with self._looking:  # an answer that was given up may still be running
            if anew:
                self._look.forget()
            async with aclosing(self._look.changes()) as changes:
                async for part in changes:
                    yield part

    async def _rows(self) -> Parts:
        async with aclosing(self._look.batches()) as batches:
            async for batch in batches:
                yield [self._seen(seen) for seen in batch]

    async def _row(self, device_id: str) -> Parts:
        device = self._devices.by_id.get(device_id)
        seen = self._history.gone(device_id) if device is None else self._look.at(device)
        if seen is not None:
            yield [self._seen(seen)]

    def _seen(self, seen: Snapshot) -> tuple[str, int, dict[str, Any]]:
        return seen.device_id, seen.came_ns, facts(seen, self._worker)

    async def _events(self, device_id: str | None) -> Parts:
        told = await self._history.of(device_id)
        for start in range(0, len(told), BATCH):
            yield told[start : start + BATCH]

    async def _fresh(self, after: int | None) -> Parts:
        yield await self._history.after(after)

    async def _seen_lately(self, heard: int, everything: bool = False) -> Parts:
        """Give the sightings that are due, or all. Those of the last answer count again unless it
        was `heard`, by its number."""
        async with self._looking:
            if heard != self._seen_number:
                self._sightings.put_back(self._unheard)
            self._unheard = []
            self._seen_number += 1
            for sightings in self._sightings.all() if everything else self._sightings.due():
                self._unheard += sightings
                yield self._seen_number, sightings

    async def _forgotten(self, device_id: str) -> Parts:
        self._sightings.of(device_id)
        self._history.forget(device_id)
        yield {}

    # -- actions

    async def _press(self, device_id: str, button: str) -> Parts:
        yield {device_id: await actions.press(self._devices, device_id, Button[button])}

    async def _play(self, device_ids: list[str] | None, clip: int | str) -> Parts:
        yield await actions.play(self._devices, device_ids, clip)

    async def _stop(self, device_ids: list[str] | None) -> Parts:
        yield await actions.stop(self._devices, device_ids)

    async def _announce(
        self,
        device_ids: list[str] | None,
        number: str,
        name: str,
        sha: str,
        sound_bytes: int,
        priority: int,
    ) -> Parts:
        try:
            frames = await self._fetch(sha)
        except (KeyError, ClusterDown):
            return  # the question was given up
        sound = await trio.to_thread.run_sync(Clip.from_frames, name, frames, None, sound_bytes)
        announcement = self._announcements.begin(Order(number, sound, priority))
        yield await actions.announce(self._devices, device_ids, announcement)

    async def _reports(self, number: str) -> Parts:
        told = list(self._announcements.reports(number).items())
        for start in range(0, len(told), BATCH):
            yield dict(told[start : start + BATCH])

    async def _renamed(self, device_id: str, name: str | None) -> Parts:
        self._history.happened(device_id, DeviceEvent.RENAMED, name)
        yield {}
