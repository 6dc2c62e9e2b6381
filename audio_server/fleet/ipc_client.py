"""Questions to another process, and its answers: JSON lines on a stream between the two.

Nothing waits for ever. A question carries a deadline, and is dropped unanswered when it is read
later: an action that was reported as failed is not performed a minute after. Questions that wait to
be sent are bounded; past the bound `ask` raises `NoAnswer` instead of waiting for room.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio

from audio_server.fleet.line_reader import LineReader

ASKED_MAX = 256
"""How many questions may wait for their answers."""

WAITING_MAX_BYTES = 4 * 1024 * 1024
READ_BYTES = 64 * 1024

Clock = Callable[[], float]
"""Seconds, the same for all processes of the machine."""


class NoAnswer(Exception):
    """The other process is gone, has failed to answer, or is asked too much."""


class TooLate(NoAnswer):
    """It is there, but does not answer in time."""


@dataclass(slots=True)
class _Asked:
    within_s: float
    parts: list[Any] = field(default_factory=list)
    patience: trio.CancelScope = field(default_factory=trio.CancelScope)
    is_answered: bool = False
    over: trio.Event = field(default_factory=trio.Event)


class IpcClient:
    """The end that asks. `run` must be running."""

    def __init__(self, stream: trio.abc.Stream, *, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._asked: dict[int, _Asked] = {}
        self._last = 0
        self._waiting = bytearray()
        self._some = trio.Event()
        self._is_over = False

    async def ask(self, what: str, within_s: float, **facts: Any) -> list[Any]:
        """The parts of the answer, if there is never a silence of `within_s` before it is whole.

        Raises `TooLate` and `NoAnswer`. A cancel leaves the question behind, and it may still be
        obeyed.
        """
        asked = self._post(what, within_s, facts)
        number = self._last
        asked.patience.deadline = trio.current_time() + within_s
        try:
            with asked.patience:
                await asked.over.wait()
        finally:
            del self._asked[number]
        if asked.patience.cancelled_caught:
            raise TooLate
        if not asked.is_answered:
            raise NoAnswer
        return asked.parts

    def _post(self, what: str, within_s: float, facts: dict[str, Any]) -> _Asked:
        is_full = len(self._asked) >= ASKED_MAX or len(self._waiting) > WAITING_MAX_BYTES
        if is_full or self._is_over:
            raise NoAnswer
        self._last += 1
        asked = self._asked[self._last] = _Asked(within_s)
        question = [self._last, self._clock() + within_s, what, facts]
        self._waiting += msgspec.json.encode(question) + b"\n"
        self._some.set()
        return asked

    async def run(self) -> None:
        """Carry questions and answers until the other end is closed. Closes the stream."""
        try:
            async with self._stream, trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                await self._receive()
                nursery.cancel_scope.cancel()
        finally:
            self._is_over = True
            for asked in self._asked.values():
                asked.over.set()

    async def _send(self) -> None:
        try:
            while True:
                await self._some.wait()
                self._some = trio.Event()
                data, self._waiting = self._waiting, bytearray()
                await self._stream.send_all(data)
        except trio.BrokenResourceError:
            return  # the receiving task ends too

    async def _receive(self) -> None:
        lines = LineReader()
        try:
            while data := await self._stream.receive_some(READ_BYTES):
                for line in lines.feed(bytes(data)):
                    self._hear(*msgspec.json.decode(line))
        except trio.BrokenResourceError:
            return

    def _hear(self, number: int, kind: str, part: Any) -> None:
        """Take a part of an answer, or its end; the question may have been given up."""
        asked = self._asked.get(number)
        if asked is None:
            return
        if kind == "part":
            asked.parts.append(part)
            asked.patience.deadline = trio.current_time() + asked.within_s
        else:
            asked.is_answered = kind == "done"
            asked.over.set()
