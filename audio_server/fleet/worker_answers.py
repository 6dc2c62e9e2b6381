"""The answers of a worker to questions about its devices, and its acts on them when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing

import trio

from audio_server.cluster.interface import Question
from audio_server.device.behaviour import Button
from audio_server.device.registry import Devices
from audio_server.fleet.actions import PRESSED_AT_ONCE
from audio_server.fleet.agent_answers import AgentAnswers, Fetch, in_parts
from audio_server.fleet.answering import Answering, Parts
from audio_server.fleet.change_tracker import BATCH
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.sightings import Sighting


class WorkerAnswers:
    """Worker number `worker`. From now on it keeps the history of its devices, unless `records` is
    false, and counts for the inventory. `fetch` gets the sound of announcements."""

    def __init__(
        self, devices: Devices, worker: int, fetch: Fetch, *, records: bool = True
    ) -> None:
        self._devices = devices
        self._here = here = DevicesHere(devices, worker, records=records)
        self._looking = trio.Lock()
        self._unheard: list[Sighting] = []
        self._seen_number = 0
        answers: Mapping[str, Callable[..., Parts]] = {
            **AgentAnswers(here, fetch).by_name,
            "ping": self._ping,
            "changes": self._changes,
            "rows": self._rows,
            "fresh": self._fresh,
            "press_each": self._press_each,
            "renamed": self._renamed,
            "seen": self._seen,
            "forgotten": self._forgotten,
        }
        self._answering = Answering(answers)

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Answer for the block."""
        return self._answering.at_work()

    def asked(self, question: Question) -> None:
        """Answer a question soon."""
        self._answering.asked(question)

    async def _ping(self) -> Parts:
        yield None

    async def _changes(self, anew: bool) -> Parts:
        async with self._looking:  # an answer that was given up may still be running
            if anew:
                self._here.look.forget()
            async with aclosing(self._here.look.changes()) as changes:
                async for part in changes:
                    yield part

    async def _rows(self, device_ids: list[str] | None) -> Parts:
        for some in in_parts(await self._here.rows(device_ids), BATCH):
            yield some

    async def _fresh(self, after: int | None) -> Parts:
        yield await self._here.history.after(after)

    async def _seen(self, heard: int, everything: bool = False) -> Parts:
        """Give the sightings that are due, or all. Those of the last answer count again unless it
        was `heard`, by its number."""
        async with self._looking:
            sightings = self._here.sightings
            if heard != self._seen_number:
                sightings.put_back(self._unheard)
            self._unheard = []
            self._seen_number += 1
            for some in sightings.all() if everything else sightings.due():
                self._unheard += some
                yield self._seen_number, some

    async def _press_each(self, device_ids: list[str] | None, button: str) -> Parts:
        """Tell of each few presses at once: the one that asks has no long patience."""
        chosen = list(self._devices.by_id) if device_ids is None else device_ids
        for some in in_parts(chosen, PRESSED_AT_ONCE):
            yield await self._here.press_each(some, Button[button])

    async def _renamed(self, device_id: str, name: str | None) -> Parts:
        await self._here.renamed(device_id, name)
        yield None

    async def _forgotten(self, device_id: str) -> Parts:
        await self._here.forgotten(device_id)
        yield None
