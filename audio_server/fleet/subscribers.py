"""Subscribers to events: each has a channel of its own, and reads at its own pace.

A subscriber that is too slow is disconnected, and may subscribe again. An event is only put on a
list where it happens; a task formats it later and sends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import trio

from audio_server.fleet.interface import Event

SUBSCRIBERS_MAX = 64
"""Each page of a device that is open is one, and a browser keeps many tabs."""

BEHIND_MAX = 1_000
"""Events that may wait for one subscriber."""

FRESH_MAX = 20_000
"""Events that may wait to be formatted."""

BATCH = 100
"""Events that are formatted between two checkpoints."""

Subscriber: TypeAlias = trio.MemorySendChannel[Event]


class Formatter(Protocol):
    """Formats an event of a device."""

    def __call__(self, device_id: str, entry: Any, /) -> Event: ...


class Subscribers:
    """`run` must be running. An event is formatted by `word` if there is a subscriber for it."""

    def __init__(self, word: Formatter) -> None:
        self._word = word
        self._subscribers: dict[Subscriber, str | None] = {}
        self._fresh: list[tuple[str, Any]] = []
        self._is_fresh = trio.Event()
        self._followed = trio.Event()

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return len(self._subscribers) >= SUBSCRIBERS_MAX

    @contextmanager
    def following(self, device_id: str | None) -> Iterator[trio.MemoryReceiveChannel[Event]]:
        """Give the events of one device, or of all (None), for the block."""
        send, receive = trio.open_memory_channel[Event](BEHIND_MAX)
        self._subscribers[send] = device_id
        self._followed.set()
        try:
            yield receive
        finally:
            self._let_go(send)

    @property
    def are_there(self) -> bool:
        """Whether there is a subscriber."""
        return bool(self._subscribers)

    async def wait_followed(self) -> None:
        """Return once there is a subscriber."""
        await self._followed.wait()

    def note(self, device_id: str, entry: Any) -> None:
        """Queue an event. Costs nothing without a subscriber."""
        if self._subscribers:
            self._fresh.append((device_id, entry))
            self._is_fresh.set()
            if len(self._fresh) > FRESH_MAX:
                self._let_all_go()

    async def run(self) -> None:
        """Send queued events until cancelled; a cancel ends all subscriptions."""
        try:
            while True:
                await self._is_fresh.wait()
                self._is_fresh = trio.Event()
                fresh, self._fresh = self._fresh, []
                await self._tell(fresh)
        finally:
            self._let_all_go()

    async def _tell(self, fresh: list[tuple[str, Any]]) -> None:
        for number, (device_id, entry) in enumerate(fresh, 1):
            takers = [
                one for one, wanted in self._subscribers.items() if wanted in (None, device_id)
            ]
            event = self._word(device_id, entry) if takers else {}
            for subscriber in takers:
                self._send(subscriber, event)
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()

    def _send(self, subscriber: Subscriber, event: Event) -> None:
        try:
            subscriber.send_nowait(event)
        except trio.WouldBlock:
            self._let_go(subscriber)

    def _let_all_go(self) -> None:
        self._fresh.clear()
        for subscriber in list(self._subscribers):
            self._let_go(subscriber)

    def _let_go(self, subscriber: Subscriber) -> None:
        subscriber.close()
        self._subscribers.pop(subscriber, None)
        if not self._subscribers:
            self._followed = trio.Event()
