"""The answers of an agent to the questions of `AskedAgent`, for the process that asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import trio

from audio_server.clips.clip import Clip
from audio_server.cluster.interface import ClusterDown, NoAnswer
from audio_server.device.behaviour import Button
from audio_server.fleet.agents import Actor
from audio_server.fleet.announcements import Order
from audio_server.fleet.answering import Parts
from audio_server.fleet.interface import Outcomes
from audio_server.judge.order import Order as JudgeOrder

EVENTS_AT_ONCE = 100
OUTCOMES_AT_ONCE = 1000
"""In one part of an answer."""

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Returns the blob of a SHA-256; raises `KeyError` and `ClusterDown`."""


class AgentAnswers:
    """Those of `agent`. `fetch` gets the sound of announcements."""

    def __init__(self, agent: Actor, fetch: Fetch) -> None:
        self._agent = agent
        self._fetch = fetch
        self.by_name: Mapping[str, Callable[..., Parts]] = {
            "events": self._events,
            "press_each": self._press_each,
            "play": self._play,
            "stop": self._stop,
            "announce": self._announce,
            "judge": self._judge,
            "reports": self._reports,
        }

    async def _events(self, device_id: str | None) -> Parts:
        for some in in_parts(await self._agent.events(device_id), EVENTS_AT_ONCE):
            yield some

    async def _press_each(self, device_ids: list[str] | None, button: str) -> Parts:
        for some in _parts(await self._agent.press_each(device_ids, Button[button])):
            yield some

    async def _play(self, device_ids: list[str] | None, clip: int | str) -> Parts:
        for some in _parts(await self._agent.play(device_ids, clip)):
            yield some

    async def _stop(self, device_ids: list[str] | None) -> Parts:
        for some in _parts(await self._agent.stop(device_ids)):
            yield some

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
            raise NoAnswer from None  # the question was given up
        sound = await trio.to_thread.run_sync(Clip.from_frames, name, frames, None, sound_bytes)
        order = Order(number, sound, priority)
        for some in _parts(await self._agent.announce(device_ids, order)):
            yield some

    async def _judge(self, device_id: str, order: list[Any]) -> Parts:
        yield await self._agent.judge(device_id, msgspec.convert(order, JudgeOrder))

    async def _reports(self, number: str) -> Parts:
        for some in in_parts(list((await self._agent.reports(number)).items()), OUTCOMES_AT_ONCE):
            yield dict(some)


def in_parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield items in lists of bounded length."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _parts(outcomes: Outcomes) -> Iterator[dict[str, Any]]:
    for some in in_parts(list(outcomes.items()), OUTCOMES_AT_ONCE):
        yield dict(some)
