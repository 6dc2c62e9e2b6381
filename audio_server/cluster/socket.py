"""The cluster of one machine, asked over a socket by a process that serves devices.

One stream a process: its frames are heard in the order in which they were sent, so a claim finds
every mode that was put before it. Times are those of the machine's monotonic clock, which all its
processes share.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Any

import structlog
import trio

from audio_server.cluster.frames import FrameLink
from audio_server.cluster.interface import Claimed, ClusterDown, Document, Listener
from audio_server.cluster.unconfirmed import Unconfirmed
from audio_server.device.attachment import Superseded

KEPT_S = 1.5
"""How long a press waits for its mode to be kept. A cluster that takes longer counts as down, for
presses, until it confirms one: they are acknowledged from memory. A disk that hangs is noticed
earlier where the file is."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Call:
    answer: Any = None
    over: trio.Event = field(default_factory=trio.Event)


@dataclass(frozen=True, slots=True)
class _Question:
    """A `Question` of the process at the other end."""

    what: str
    facts: Mapping[str, Any]
    link: FrameLink
    number: int

    def add(self, part: Any) -> None:
        self.link.send("part", self.number, part)

    def end(self, *, is_answered: bool) -> None:
        self.link.send("end", self.number, is_answered)

    def refuse(self) -> None:
        self.end(is_answered=False)

    async def wait_room(self) -> None:
        await self.link.wait_room()


class SocketCluster:
    """A `Cluster` at the other end of `stream`. `is_over` is set when that is closed."""

    is_durable = True

    def __init__(
        self, stream: trio.abc.Stream, *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.is_over = trio.Event()
        self._link = FrameLink(stream)
        self._clock_ns = clock_ns
        self._calls: dict[int, _Call] = {}
        self._numbers = count(1)
        self._unconfirmed = Unconfirmed(KEPT_S, self._begin_to_be_slow)

    @asynccontextmanager
    async def joined(self, listener: Listener) -> AsyncIterator[None]:
        """Be a node for the block. Closes the stream."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run, listener)
            yield
            nursery.cancel_scope.cancel()

    async def _run(self, listener: Listener) -> None:
        hearing: dict[str, Callable[..., None]] = {
            "moved": listener.moved,
            "told": listener.told,
            "fed": listener.fed,
            "reclaimed": lambda *fields: self._on_reclaimed(listener, *fields),
            "answer": self._on_answer,
            "kept": self._on_kept,
            "asked": lambda *fields: self._on_asked(listener, *fields),
        }
        try:
            await self._link.run(lambda what, *fields: hearing[what](*fields))
        finally:
            self.is_over.set()
            for call in self._calls.values():
                call.over.set()

    async def _call(self, what: str, *fields: Any) -> Any:
        """Return the answer to a call; None where there is none. Raises `ClusterDown`."""
        number = next(self._numbers)
        call = self._calls[number] = _Call()
        try:
            if not self.is_over.is_set():
                self._link.send(what, number, *fields)
                await call.over.wait()
        finally:
            del self._calls[number]
        if self.is_over.is_set() and call.answer is None:
            raise ClusterDown
        return call.answer

    def _on_answer(self, number: int, answer: Any) -> None:
        if (call := self._calls.get(number)) is not None:  # it may have been cancelled
            call.answer = answer
            call.over.set()

    # Ownership and modes

    async def claim(self, device_id: str, waited_s: float) -> Claimed:
        """Have a device; waits for the answer, however long: without a supervisor the process
        ends, and the call with it."""
        arrived_ns = self._clock_ns() - int(waited_s * 1e9)
        try:
            answer = await self._call("claim", device_id, arrived_ns)
        except ClusterDown:
            await trio.sleep_forever()
        if answer is None:
            raise Superseded(Superseded.ELSEWHERE)
        return Claimed(*answer)

    def release(self, device_id: str) -> None:
        """Let a device go."""
        self._link.send("release", device_id)

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        """Write a mode."""
        self._link.send("mode", device_id, epoch, mode, self._unconfirmed.add(device_id))

    async def wait_durable(self, device_id: str) -> None:
        """Return when all modes of a device are kept, or cannot be; within `KEPT_S`.

        Without a supervisor they never are: this then waits for the end of the call.
        """
        if self._unconfirmed.newest(device_id):
            await self._unconfirmed.wait(device_id)
            if self.is_over.is_set():
                await trio.sleep_forever()

    def _begin_to_be_slow(self) -> None:
        if not self.is_over.is_set():
            log.warning("modes are acknowledged from memory", reason="the supervisor is silent")

    def _on_kept(self, device_id: str, number: int) -> None:
        self._unconfirmed.confirm(device_id, number)

    def _on_reclaimed(self, listener: Listener, device_id: str, epoch: int, mode: int) -> None:
        if not self._unconfirmed.newest(device_id):  # else a newer mode is on its way
            listener.reclaimed(device_id, epoch, mode)

    # Documents

    async def document(self, key: str) -> Document:
        """Return the newest version of a document."""
        return Document(*await self._call("document", key))

    async def blob(self, sha: str) -> bytes:
        """Return a blob, read part by part."""
        data, size = bytearray(), inf
        while len(data) < size:
            answer = await self._call("blob", sha, len(data))
            if answer is None:
                raise KeyError(sha)
            size, part = answer
            data += part
        return bytes(data)

    # Feeds

    def follow(self, key: str) -> None:
        """Be given the data of a feed."""
        self._link.send("follow", key)

    def unfollow(self, key: str) -> None:
        """Be given no more."""
        self._link.send("unfollow", key)

    def heard(self, key: str, number: int, note: Any) -> None:
        """Confirm data."""
        self._link.send("heard", key, number, note)

    # Messages

    def tell(self, what: str) -> None:
        """Tell the process at the other end."""
        self._link.send("told", what)

    def _on_asked(
        self, listener: Listener, number: int, until: float, what: str, facts: Mapping[str, Any]
    ) -> None:
        question = _Question(what, facts, self._link, number)
        if self._clock_ns() / 1e9 > until:
            question.end(is_answered=False)
        else:
            listener.asked(question)
