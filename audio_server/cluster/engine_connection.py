"""One connection to the engine: commands, their answers in order, and news between them (RESP3).

hiredis reads and writes the protocol; bytes are trio's. A client library with connections of its
own would hide when it connects anew, and what was lost meanwhile: docs/architecture.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import hiredis
import trio

from audio_server.cluster.interface import ClusterDown

READ_BYTES = 64 * 1024

LOST = "the connection is lost"

Word: TypeAlias = "str | int | float | bytes | memoryview[int]"
"""A part of a command."""

Heard: TypeAlias = Callable[[Any], None]
"""Called with an answer; with a `Refused`, or with `ClusterDown` if none came."""

_NOTHING: Any = object()


class EngineFault(Exception):
    """The engine cannot be used as it is; `str()` is the reason, in a few words."""


class Refused(EngineFault):
    """The engine has refused a command. `code` is the first word of its answer."""

    def __init__(self, text: str) -> None:
        self.code = text.partition(" ")[0]
        super().__init__(" ".join(text.split())[:200])


class EngineConnection:
    """A connection on `stream`; `pushed` is called with each message that is no answer.

    `run` must be running for an answer to come. `reads` counts up while the engine sends.
    """

    def __init__(
        self, stream: trio.abc.Stream, pushed: Callable[[list[Any]], None] = lambda _: None
    ) -> None:
        self.reads = 0
        self._stream = stream
        self._pushed = pushed
        self._parser: Any = hiredis.Reader(
            encoding="utf-8", errors="replace", notEnoughData=_NOTHING
        )
        self._waiting = bytearray()
        self._some = trio.Event()
        self._heard: deque[tuple[Heard, bool]] = deque()
        self._are_bytes = self._is_over = False

    def hear_bytes(self) -> None:
        """Give messages, and answers too, as bytes from now on, not as text."""
        self._are_bytes = True
        self._parser.set_encoding(encoding=None)

    @property
    def is_asking(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._heard)

    def send(self, heard: Heard | None, *words: Word, as_bytes: bool = False) -> None:
        """Send a command after those before it, and call `heard` with its answer, whose texts are
        bytes where `as_bytes` says so.

        None stands for a command that has no answer, such as SUBSCRIBE.
        """
        if self._is_over:
            if heard is not None:
                heard(ClusterDown())
            return
        self._waiting += hiredis.pack_command(words)  # type: ignore[arg-type]
        if heard is not None:
            self._heard.append((heard, as_bytes))
        self._some.set()

    async def ask(self, *words: Word) -> Any:
        """Return the answer to a command. Raises `Refused` and `ClusterDown`."""
        answers: list[Any] = []
        over = trio.Event()

        def heard(answer: Any) -> None:
            answers.append(answer)
            over.set()

        self.send(heard, *words)
        await over.wait()
        if isinstance(answers[0], Exception):
            raise answers.pop()
        return answers[0]

    async def run(self) -> None:
        """Send and hear until the connection breaks; raises `EngineFault` in a group. Closes the
        stream; commands without an answer hear `ClusterDown`."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                await self._receive()
        finally:
            # Nothing is awaited after the last answers: the fault must leave before a task that
            # they wake can cancel this one.
            self._is_over = True
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)
            while self._heard:
                self._heard.popleft()[0](ClusterDown())

    async def _receive(self) -> None:
        parser = self._parser
        while data := await self._read():
            self.reads += 1
            parser.feed(bytes(data))
            try:
                while (message := parser.gets(not self._wants_bytes)) is not _NOTHING:
                    self._hear(message)
            except hiredis.ProtocolError:
                raise EngineFault("the peer speaks another protocol") from None
        raise EngineFault(LOST)

    async def _read(self) -> bytes | bytearray:
        try:
            return await self._stream.receive_some(READ_BYTES)
        except trio.BrokenResourceError:
            raise EngineFault(LOST) from None

    @property
    def _wants_bytes(self) -> bool:
        """Whether the next answer is one of bytes; news that come before it are decoded here."""
        return bool(self._heard) and self._heard[0][1]

    def _hear(self, message: Any) -> None:
        if isinstance(message, hiredis.PushNotification):
            is_to_decode = self._wants_bytes and not self._are_bytes
            self._pushed([_text(part) for part in message] if is_to_decode else message)
        elif not self._heard:
            raise EngineFault("the peer answers unasked")
        elif isinstance(message, hiredis.ReplyError):
            self._heard.popleft()[0](Refused(str(message)))
        else:
            self._heard.popleft()[0](message)

    async def _send(self) -> None:
        while True:
            await self._some.wait()
            self._some = trio.Event()
            data, self._waiting = self._waiting, bytearray()
            try:
                await self._stream.send_all(data)
            except trio.BrokenResourceError:
                raise EngineFault(LOST) from None


def _text(part: Any) -> Any:
    return part.decode(errors="replace") if isinstance(part, bytes) else part
