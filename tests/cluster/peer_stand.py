"""Nodes of an engine that ask each other, under the clock on the wall."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from members import Member, member, until

from audio_server.cluster.engine import parse_engine
from audio_server.cluster.engine_clock import EngineClock
from audio_server.cluster.engine_nodes import EngineNodes
from audio_server.cluster.interface import Question
from audio_server.cluster.link import Link
from audio_server.cluster.peers import NodeFacts


class Peer:
    """A node, and the questions that it was asked."""

    def __init__(self, member: Member, url: str, name: str, clock: EngineClock | None) -> None:
        self.member = member
        self.facts = NodeFacts(name, 2, 1)
        self.questions: list[Question] = []
        self.answer: Callable[[Question], None] = self.questions.append
        node = member.cluster.node
        link = Link(parse_engine(url), {})
        self.nodes = EngineNodes(node, link, lambda: self.facts, clock)

    @property
    def id(self) -> str:
        return self.nodes.node

    def asked(self, question: Question) -> None:
        self.answer(question)

    async def wait_question(self, count: int = 1) -> Question:
        await until(lambda: len(self.questions) >= count)
        return self.questions[count - 1]

    async def wait_sees(self, *others: Peer) -> None:
        """Return when it knows of the others that they live."""
        await self.wait_around({one.id: one.facts for one in others}, ())

    async def wait_around(self, living: dict[str, NodeFacts], missing: tuple[str, ...]) -> None:
        """Return when it knows of these nodes."""
        with trio.fail_after(30):
            while await self.nodes.around() != (living, missing):  # noqa: ASYNC110
                await trio.sleep(0.02)


@asynccontextmanager
async def peer(
    url: str, name: str, clock: EngineClock | None = None, *, is_up: bool = True
) -> AsyncIterator[Peer]:
    """A node for the block."""
    async with member(url, is_up=is_up) as of_cluster:
        one = Peer(of_cluster, url, name, clock)
        async with one.nodes.joined(one.asked):
            if is_up:
                with trio.fail_after(30):
                    await one.nodes.is_up.wait_value(True)
            yield one
