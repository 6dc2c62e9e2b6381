"""Messages of the workers, answered by the directory, on their way to the mailboxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import trio

from audio_server.device.instrumentation import Instrumentation
from audio_server.device.mode_store import ModeStore
from audio_server.fleet.line_reader import LineReader
from audio_server.workers.directory import Directory
from audio_server.workers.mailbox import Mailbox
from audio_server.workers.messages import Changed, Claim, Kept, Ready, Up, decode_up

_READ_BYTES = 16 * 1024


class Member(Protocol):
    """A worker, as far as the relay is concerned."""

    mailbox: Mailbox

    def on_ready(self) -> None:
        """It accepts connections."""


class Router:
    """Stands between `members`, by their numbers, and the registry.

    With a `store` that takes time, changes are confirmed when it has kept them.
    """

    def __init__(
        self,
        registry: Directory,
        members: Mapping[int, Member],
        store: ModeStore | None = None,
        meter: Instrumentation | None = None,
    ) -> None:
        self._meter = meter or Instrumentation()
        self._registry = registry
        self._members = members
        self._store = store

    async def run(self, stream: trio.abc.ReceiveStream) -> None:
        """Take messages until all writers have closed the stream. Closes it."""
        lines = LineReader()
        async with stream, trio.open_nursery() as nursery:
            while data := await stream.receive_some(_READ_BYTES):
                for line in lines.feed(bytes(data)):
                    self._take(decode_up(line), nursery)

    def _take(self, message: Up, nursery: trio.Nursery) -> None:
        match message:
            case Claim():
                self._on_claim(message)
            case Changed():
                self._registry.change(message)
                if self._store is not None:
                    nursery.start_soon(self._confirm, message, self._store)
            case Ready():
                self._registry.begin(message.worker)
                self._members[message.worker].on_ready()

    def _on_claim(self, claim: Claim) -> None:
        was_at = self._registry.worker_of(claim.device_id)
        for worker, news in self._registry.claim(claim):
            self._members[worker].mailbox.send(news)
        # A device that comes back to the same worker is counted there.
        if was_at not in (None, self._registry.worker_of(claim.device_id)):
            self._meter.device_back()

    async def _confirm(self, changed: Changed, store: ModeStore) -> None:
        await store.wait_durable(changed.device_id)
        self._members[changed.worker].mailbox.send(Kept(changed.device_id, changed.tenure))
