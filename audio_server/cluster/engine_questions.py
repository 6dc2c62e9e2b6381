"""Questions between nodes over channels of the engine, and the parts of their answers.

A channel loses messages, and holds up nobody: so a question has a deadline, and all that waits for
an answer is bounded. Answers come on the channel of the node that asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

import msgspec
import structlog
import trio

from audio_server.cluster.interface import ClusterDown, Incompatible, NoAnswer, TooLate
from audio_server.cluster.peers import TimedQuestion

ASKED_MAX = 1024
"""Questions of a node that may wait for their answers."""

ANSWERED_MAX = 256
"""Questions that a node answers at the same time; it leaves others without an answer."""

MESSAGE_MAX_BYTES = 4 * 1024 * 1024
"""Of one question, or one part of an answer."""

ANSWER_MAX_BYTES = 16 * 1024 * 1024

UNSENT_MAX = 8
"""Parts that the engine may not have taken yet before an answer waits."""

Publish: TypeAlias = Callable[[Callable[[Any], None], str, bytes], None]
"""Sends a message to a node, and calls back with how many have heard it, or `ClusterDown`."""

log = structlog.get_logger()


class _Ask(msgspec.Struct, tag="ask", array_like=True):
    number: int
    asker: str
    until_s: float
    what: str
    facts: dict[str, Any]


class _Part(msgspec.Struct, tag="part", array_like=True):
    number: int
    part: Any


class _End(msgspec.Struct, tag="end", array_like=True):
    number: int
    is_answered: bool
    is_known: bool = True
    """Whether the node knows such a question; older ones do not say so."""


_decoder = msgspec.msgpack.Decoder(_Ask | _Part | _End)
_encode = msgspec.msgpack.encode


@dataclass(slots=True, eq=False)
class _Asked:
    """A question of this node."""

    hear: Callable[[Any], None]
    room_bytes: int
    is_answered: bool = False
    error: Exception | None = None
    over: trio.Event = field(default_factory=trio.Event)

    def take(self, part: Any) -> None:
        """Have a part heard; an error ends the question, not the link on which all come."""
        try:
            self.hear(part)
        except Exception as error:
            self.error = error
            self.over.set()

    def end(self, is_answered: bool, is_known: bool = True) -> None:
        if not is_known:
            self.error = Incompatible()
        if not self.over.is_set():
            self.is_answered = is_answered
            self.over.set()


@dataclass(slots=True, eq=False)
class _Question:
    """A `TimedQuestion` of another node."""

    what: str
    facts: Mapping[str, Any]
    left_s: float
    _number: int
    _asker: str
    _questions: EngineQuestions
    _is_over: bool = False

    def add(self, part: Any) -> None:
        """Give a part of the answer; one that is too large ends it."""
        data = _encode(_Part(self._number, part))
        if len(data) > MESSAGE_MAX_BYTES:
            log.error("answer is too large", asked=self.what, bytes=len(data))
            self.end(is_answered=False)
        elif not self._is_over:
            self._questions.send(self._asker, data)

    def end(self, *, is_answered: bool) -> None:
        """End the answer."""
        if not self._is_over:
            self._is_over = True
            self._questions.answered(self._asker, _encode(_End(self._number, is_answered)))

    def refuse(self) -> None:
        """End the answer, and have the other node know why."""
        if not self._is_over:
            self._is_over = True
            self._questions.answered(self._asker, _encode(_End(self._number, False, False)))

    async def wait_room(self) -> None:
        """Return when the engine has taken most of the parts before."""
        await self._questions.wait_room()


class EngineQuestions:
    """Those of one node and to it. `asked` is called with each that it is to answer."""

    def __init__(self, node: str, publish: Publish, asked: Callable[[TimedQuestion], None]) -> None:
        self._node = node
        self._publish = publish
        self._heard = asked
        self._numbers = count(1)
        self._asked: dict[int, _Asked] = {}
        self._answering = 0
        self._unsent = 0
        self._room = trio.Event()

    async def ask(
        self,
        node: str,
        what: str,
        within_s: float,
        until_s: float,
        hear: Callable[[Any], None] | None,
        facts: Mapping[str, Any],
    ) -> list[Any]:
        """Ask a node; see `Peers.ask`. `until_s` is the deadline in the engine's clock. An error of
        `hear` is raised here."""
        if len(self._asked) >= ASKED_MAX:
            raise NoAnswer
        parts: list[Any] = []
        number = next(self._numbers)
        body = _encode(_Ask(number, self._node, until_s, what, dict(facts)))
        if len(body) > MESSAGE_MAX_BYTES:
            raise NoAnswer
        asked = self._asked[number] = _Asked(hear or parts.append, ANSWER_MAX_BYTES)
        try:
            with trio.move_on_after(within_s) as patience:
                self._publish(lambda heard: _on_sent(asked, heard), node, body)
                await asked.over.wait()
        finally:
            del self._asked[number]
        if asked.error is not None:
            try:
                raise asked.error
            finally:
                asked.error = None  # its traceback leads here
        if patience.cancelled_caught:
            raise TooLate
        if not asked.is_answered:
            raise NoAnswer
        return parts

    def hear(self, data: bytes, now_s: float) -> None:
        """Take a message of the node's channel; `now_s` is the latest that the engine's clock may
        say. A message of another program is dropped."""
        try:
            message = _decoder.decode(data)
        except msgspec.DecodeError:
            return
        if isinstance(message, _Ask):
            self._on_ask(message, now_s)
        elif (asked := self._asked.get(message.number)) is None:
            return
        elif isinstance(message, _End):
            asked.end(message.is_answered, message.is_known)
        else:
            asked.room_bytes -= len(data)
            if asked.room_bytes < 0:
                asked.end(False)
            elif not asked.over.is_set():
                asked.take(message.part)

    def _on_ask(self, ask: _Ask, now_s: float) -> None:
        left_s = ask.until_s - now_s
        if left_s <= 0:
            return  # it was told to have failed
        question = _Question(ask.what, ask.facts, left_s, ask.number, ask.asker, self)
        self._answering += 1
        if self._answering > ANSWERED_MAX:
            question.end(is_answered=False)
        else:
            self._heard(question)

    # Answers

    def send(self, asker: str, data: bytes) -> None:
        """Send a part of an answer."""
        self._unsent += 1
        self._publish(self._on_taken, asker, data)

    def answered(self, asker: str, data: bytes) -> None:
        """Send the end of an answer."""
        self._answering -= 1
        self._publish(lambda _: None, asker, data)

    def _on_taken(self, _: Any) -> None:
        self._unsent -= 1
        if self._unsent < UNSENT_MAX:
            self._room.set()
            self._room = trio.Event()

    async def wait_room(self) -> None:
        """Return when the engine has taken most of the parts before."""
        await trio.lowlevel.checkpoint()
        while self._unsent >= UNSENT_MAX:
            await self._room.wait()

    def end(self) -> None:
        """Give all questions up: the link is lost, and with it answers may be."""
        for asked in list(self._asked.values()):
            asked.end(False)


def _on_sent(asked: _Asked, heard: Any) -> None:
    """Give a question up that no node has heard."""
    if isinstance(heard, ClusterDown) or not heard:
        asked.end(False)
