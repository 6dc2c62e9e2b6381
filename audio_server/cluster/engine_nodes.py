"""The nodes of an engine: the heartbeat of this one, and questions to the others.

On a link of its own. Answers may be large, and an engine closes the connection of a reader that is
too slow: claims and modes must not end with it. Nothing that plays needs this link.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any

import msgspec
import trio
from trio_util import AsyncValue

from audio_server.cluster.engine_clock import EngineClock
from audio_server.cluster.engine_connection import Word
from audio_server.cluster.engine_offers import Offers, offer
from audio_server.cluster.engine_questions import EngineQuestions
from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.link import Link, Session
from audio_server.cluster.peers import UNKNOWN_NODES, Around, NodeFacts, TimedQuestion
from audio_server.cluster.valkey import BEAT_S, NODES

SILENT_S = 3.0
"""A node without a heartbeat for so long is missing, and no longer asked."""

FACTS_MS = 10_000
"""How long the facts of a node that is gone may be read."""

LOOK_S = 1.0
"""How long the engine may take to say which nodes there are."""

OFFER_S = 3.0
"""How long a blob may take to be offered."""

BATCH = 200
"""Keys that are read at a time."""

_facts = msgspec.msgpack.Decoder(NodeFacts)


NUMBERS = "as:numbers"


class EngineNodes:
    """The `Peers` of a node over `link`. `facts` are told with each heartbeat."""

    def __init__(
        self,
        node: str,
        link: Link,
        facts: Callable[[], NodeFacts],
        clock: EngineClock | None = None,
    ) -> None:
        self.node = node
        self.is_up: AsyncValue[bool] = AsyncValue(False)
        self._link = link
        self._own_facts = facts
        self._clock = clock or EngineClock()
        self._session: Session | None = None
        self._questions = EngineQuestions(node, self._publish, self._on_question)
        self._asked: Callable[[TimedQuestion], None] = _refuse
        self._names: dict[str, str] = {}
        self._around = Around({}, ())
        self._looked_at = -trio.current_time()
        self._offers = Offers()

    @asynccontextmanager
    async def joined(self, asked: Callable[[TimedQuestion], None]) -> AsyncIterator[None]:
        """Tell of the node, and have `asked` called with questions to it, for the block."""
        self._asked = asked
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._link.run, self._begin, self._pushed)
            try:
                yield
            finally:
                self._asked = _refuse
                with trio.move_on_after(LOOK_S, shield=True), suppress(ClusterDown):
                    await self._command("DEL", _facts_key(self.node))
            nursery.cancel_scope.cancel()

    # The link

    async def _begin(self, session: Session) -> None:
        session.hear_bytes()
        await self._read_clock(session)  # first: questions are compared with it
        session.subscribe(_channel(self.node))
        await self._beat(session)
        self._link.came_up(node=self.node)
        self._session = session
        self.is_up.value = True
        try:
            while True:
                await trio.sleep(BEAT_S)
                await self._beat(session)
        finally:
            self._session = None
            self.is_up.value = False
            self._questions.end()

    async def _read_clock(self, session: Session) -> None:
        asked_at = self._clock.read()
        seconds, more_us = (await session.commands([["TIME"]]))[0]
        self._clock.told(asked_at, int(seconds) + int(more_us) / 1e6)

    async def _beat(self, session: Session) -> None:
        await self._read_clock(session)
        facts = msgspec.msgpack.encode(self._own_facts())
        with suppress(ClusterDown):  # an engine that is full still carries questions
            await session.commands([["SET", _facts_key(self.node), facts, "PX", FACTS_MS]])

    def _pushed(self, message: list[Any]) -> None:
        if message[0] == b"message":
            self._questions.hear(message[2], self._clock.latest())

    def _on_question(self, question: TimedQuestion) -> None:
        self._asked(question)

    def _publish(self, heard: Callable[[Any], None], node: str, data: bytes) -> None:
        if self._session is None:
            heard(ClusterDown())
        else:
            self._session.send_command(heard, "PUBLISH", _channel(node), data)

    async def _command(self, *words: Word) -> Any:
        if self._session is None:
            raise ClusterDown
        return (await self._session.commands([words]))[0]

    # The other nodes

    def name_of(self, node: str) -> str:
        """Return the name of a node."""
        return self._names.get(node, node)

    async def around(self, max_age_s: float = 0.0) -> Around:
        """Return the nodes as they were known `max_age_s` ago at most, within `LOOK_S`."""
        is_fresh = trio.current_time() - self._looked_at <= max_age_s
        if is_fresh and self._session is not None:
            return self._around
        with trio.move_on_after(LOOK_S), suppress(ClusterDown):
            self._around = await self._look()
            self._looked_at = trio.current_time()
            return self._around
        return Around({}, (*sorted(self._names.values()), UNKNOWN_NODES))

    async def _look(self) -> Around:
        beats = dict(await self._command("ZRANGE", NODES, 0, -1, "WITHSCORES"))
        beats = {node.decode(): at_us for node, at_us in beats.items()}
        beats.pop(self.node, None)
        since_us = (self._clock.earliest() - SILENT_S) * 1e6
        living: dict[str, NodeFacts] = {}
        for nodes in _batched(beats):
            told = await self._command("MGET", *map(_facts_key, nodes))
            for node, facts in zip(nodes, map(_read_facts, told), strict=True):
                if facts is not None:
                    self._names[node] = facts.name
                if beats[node] >= since_us:
                    living[node] = facts or NodeFacts(self.name_of(node))
        self._names = {node: name for node, name in self._names.items() if node in beats}
        missing = (self.name_of(node) for node in beats if node not in living)
        return Around(living, tuple(sorted(missing)))

    async def numbers(self, count: int) -> int:
        """Return the first of `count` new numbers. Raises `ClusterDown`."""
        return int(await self._command("INCRBY", NUMBERS, count)) - count

    async def homes(self, device_ids: Iterable[str]) -> Mapping[str, str]:
        """Return the node of each device that is connected. Raises `ClusterDown`."""
        homes: dict[str, str] = {}
        for ids in _batched(device_ids):
            if self._session is None:
                raise ClusterDown
            rows = await self._session.commands(("HMGET", f"as:d:{one}", "n", "h") for one in ids)
            for device_id, (node, is_held) in zip(ids, rows, strict=True):
                if node is not None and is_held is not None:
                    homes[device_id] = node.decode()
        return homes

    async def ask(
        self,
        node: str,
        what: str,
        within_s: float,
        hear: Callable[[Any], None] | None = None,
        **facts: Any,
    ) -> list[Any]:
        """Ask a node; see `Peers`."""
        until_s = self._clock.earliest() + within_s
        return await self._questions.ask(node, what, within_s, until_s, hear, facts)

    # Blobs

    async def offer(self, blobs: Mapping[str, bytes]) -> None:
        """Have other nodes find blobs."""
        with trio.move_on_after(OFFER_S), suppress(ClusterDown):
            for sha, data in blobs.items():
                await offer(self._command, sha, data)

    async def offered(self, sha: str) -> bytes:
        """Return a blob of another node, which is fetched once."""
        return await self._offers.fetch(self._command, sha)


def _batched(items: Iterable[str]) -> Iterator[list[str]]:
    left = iter(items)
    while some := list(islice(left, BATCH)):
        yield some


def _refuse(question: TimedQuestion) -> None:
    question.end(is_answered=False)


def _read_facts(data: bytes | None) -> NodeFacts | None:
    try:
        return None if data is None else _facts.decode(data)
    except msgspec.DecodeError:
        return None


def _channel(node: str) -> str:
    return f"as:q:{node}"


def _facts_key(node: str) -> str:
    return f"as:node:{node}"
