"""A node in another process of the machine, as the process of the hub serves it over a socket."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import trio

from audio_server.cluster.frames import FrameLink
from audio_server.cluster.interface import Listener, Question
from audio_server.cluster.local import Hub, LocalCluster
from audio_server.cluster.questions import Asked
from audio_server.device.attachment import Superseded

PART_BYTES = 64 * 1024
"""Size of the parts in which a blob is sent: claims wait for one at most."""

ASKED_MAX_BYTES = 4 * 1024 * 1024
"""How much may wait for a node before it is asked no more."""

WAITING_MAX_BYTES = 16 * 1024 * 1024
"""How much may wait for a node; one that lets more wait has hung."""


class ServedNode:
    """The node of that name at the other end of `stream`. `told` is called with what it tells."""

    def __init__(
        self,
        hub: Hub,
        name: str,
        stream: trio.abc.Stream,
        told: Callable[[str], None] = lambda _: None,
        *,
        max_bytes: int = WAITING_MAX_BYTES,
    ) -> None:
        self.name = name
        self._hub = hub
        self._link = FrameLink(stream)
        self._max_bytes = max_bytes
        self._full = trio.Event()
        self._asked: dict[int, Question] = {}
        self._numbers = count(1)
        self._claiming: dict[str, set[trio.CancelScope]] = {}
        self._hearing: dict[str, Callable[..., None]] = {
            "release": self._on_release,
            "document": self._on_document,
            "blob": self._on_blob,
            "part": self._on_part,
            "end": self._on_end,
            "told": told,
            "follow": partial(hub.feeds.follow, name, partial(self._send, "fed")),
            "unfollow": partial(hub.feeds.unfollow, name),
            "heard": partial(hub.feeds.heard, name),
        }

    async def run(self) -> None:
        """Serve it until its process is gone. Closes the stream."""
        moved, reclaimed = partial(self._send, "moved"), partial(self._send, "reclaimed")
        listener = Listener(moved, self._ask, self.tell, reclaimed)
        async with (
            LocalCluster(self._hub, self.name).joined(listener),
            trio.open_nursery() as nursery,
        ):
            self._hearing["claim"] = partial(self._on_claim, nursery)
            self._hearing["mode"] = partial(self._on_mode, nursery)
            await self._link.run(self._hear)
            nursery.cancel_scope.cancel()

    def tell(self, what: str) -> None:
        """Give it an order, which it reads even if `run` begins later."""
        self._send("told", what)

    async def wait_full(self) -> None:
        """Return when a frame has been lost because the node does not read."""
        await self._full.wait()

    def _send(self, *fields: Any) -> None:
        if self._link.waiting_bytes > self._max_bytes:
            self._full.set()
        if not self._full.is_set():
            self._link.send(*fields)

    def _hear(self, what: str, *fields: Any) -> None:
        self._hearing[what](*fields)

    # Ownership and modes

    def _on_claim(
        self, nursery: trio.Nursery, number: int, device_id: str, arrived_ns: int
    ) -> None:
        if not self._hub.is_here(device_id):
            claiming = trio.CancelScope()
            self._claiming.setdefault(device_id, set()).add(claiming)
            nursery.start_soon(self._claim, claiming, number, device_id, arrived_ns)
            return
        try:
            self._send("answer", number, self._hub.claim(self.name, device_id, arrived_ns))
        except Superseded:
            self._send("answer", number, None)

    async def _claim(
        self, claiming: trio.CancelScope, number: int, device_id: str, arrived_ns: int
    ) -> None:
        """Claim a device for the machine, unless the node releases it meanwhile."""
        try:
            with claiming:
                answer = await self._hub.claim_for_machine(self.name, device_id, arrived_ns)
                self._send("answer", number, answer)
        except Superseded:
            self._send("answer", number, None)
        finally:
            self._claiming[device_id].discard(claiming)
            if not self._claiming[device_id]:
                del self._claiming[device_id]
        if claiming.cancel_called:  # it may have been granted with the cancel
            self._hub.release(self.name, device_id)

    def _on_release(self, device_id: str) -> None:
        for claiming in self._claiming.get(device_id, ()):
            claiming.cancel()  # no call waits for it any more
        self._hub.release(self.name, device_id)

    def _on_mode(
        self, nursery: trio.Nursery, device_id: str, epoch: int, mode: int, number: int
    ) -> None:
        self._hub.put_mode(self.name, device_id, epoch, mode)
        if self._hub.store.is_durable:
            nursery.start_soon(self._confirm, device_id, number)
        else:
            self._send("kept", device_id, number)

    async def _confirm(self, device_id: str, number: int) -> None:
        await self._hub.store.wait_durable(device_id)
        self._send("kept", device_id, number)

    # Documents

    def _on_document(self, number: int, key: str) -> None:
        self._send("answer", number, self._hub.document(key))

    def _on_blob(self, number: int, sha: str, start: int) -> None:
        try:
            data = self._hub.blob(sha)
        except KeyError:
            self._send("answer", number, None)
        else:
            self._send("answer", number, [len(data), data[start : start + PART_BYTES]])

    # Questions

    def _ask(self, question: Question) -> None:
        assert isinstance(question, Asked)
        if self._link.waiting_bytes > ASKED_MAX_BYTES:
            question.end(is_answered=False)
            return
        number = next(self._numbers)
        self._asked[number] = question
        self._send("asked", number, question.until, question.what, question.facts)

    def _on_part(self, number: int, part: Any) -> None:
        self._asked[number].add(part)

    def _on_end(self, number: int, is_answered: bool) -> None:
        self._asked.pop(number).end(is_answered=is_answered)
