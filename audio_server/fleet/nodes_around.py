"""One question to all nodes of a cluster: the answers in time, and the names of the others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
import trio

from audio_server.cluster.interface import Incompatible, NoAnswer, TooLate
from audio_server.cluster.peers import Around, Peers
from audio_server.fleet.node_parts import checker_of

LATE_S = 3.0
"""How long a node that was too late is not asked again by those that watch: one that hangs counts
as missing by then."""

INCOMPATIBLE = "incompatible version"

WARNED_MAX = 1_000
"""Nodes of another version that are remembered."""

log = structlog.get_logger()


@dataclass(slots=True)
class Answers:
    """The parts of each node's answer, by its id, and the names of the nodes without one."""

    parts: dict[str, list[Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def all(self) -> Iterable[Any]:
        """Yield the parts of all answers."""
        for parts in self.parts.values():
            yield from parts


class NodesAround:
    """Asks the nodes of `peers`, and this one too, which needs no question."""

    def __init__(self, peers: Peers) -> None:
        self.peers = peers
        self._late: dict[str, float] = {}
        self._incompatible: OrderedDict[str, None] = OrderedDict()

    @property
    def node(self) -> str:
        """The id of this node."""
        return self.peers.node

    async def ask_all(
        self,
        what: str,
        within_s: float,
        here: Callable[[], Awaitable[list[Any]]],
        *,
        max_age_s: float = 0.0,
        **facts: Any,
    ) -> Answers:
        """Ask all nodes, and call `here` for this one's answer, within `within_s` but for that.

        With `max_age_s` the nodes may be as they were known so long ago, and those that were too
        late a moment ago are left out.
        """
        answers = Answers()
        until = trio.current_time() + within_s

        async def ask_others() -> None:
            around = await self.peers.around(max_age_s)
            answers.missing.extend(around.missing)
            asked = dict.fromkeys(self._to_ask(around, answers, max_age_s), facts)
            await self._ask(asked, what, until, answers)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_others)
            answers.parts[self.node] = await here()
        return answers

    def _to_ask(self, around: Around, answers: Answers, max_age_s: float) -> Collection[str]:
        now = trio.current_time()
        self._late = {node: at for node, at in self._late.items() if at + LATE_S > now}
        left_out = self._late if max_age_s else {}
        answers.missing.extend(self.peers.name_of(one) for one in around.living if one in left_out)
        return [node for node in around.living if node not in left_out]

    async def ask_some(
        self,
        what: str,
        within_s: float,
        facts: Mapping[str, Mapping[str, Any]],
        hear: Callable[[str, Any], None] | None = None,
    ) -> Answers:
        """Ask some other nodes, each with facts of its own. With `hear` each part of an answer is
        told with the node's id, as it comes."""
        answers = Answers()
        until = trio.current_time() + within_s
        await self._ask(facts, what, until, answers, hear)
        return answers

    async def _ask(
        self,
        facts: Mapping[str, Mapping[str, Any]],
        what: str,
        until: float,
        answers: Answers,
        hear: Callable[[str, Any], None] | None = None,
    ) -> None:
        async def ask(node: str) -> None:
            told = None if hear is None else partial(hear, node)
            try:
                answers.parts[node] = await self.ask(node, what, until, told, **facts[node])
            except NoAnswer as error:
                answers.missing.append(self.missing_name(node, error))

        async with trio.open_nursery() as nursery:
            for node in facts:
                nursery.start_soon(ask, node)

    async def ask(
        self,
        node: str,
        what: str,
        until: float,
        hear: Callable[[Any], None] | None = None,
        **facts: Any,
    ) -> list[Any]:
        """Return the parts of another node's answer, or call `hear` with each. Raises `NoAnswer`,
        and `Incompatible` where they are not those of this version."""
        check = checker_of(what, facts)
        told = None if hear is None else lambda part: hear(check(part))
        try:
            left_s = max(0.0, until - trio.current_time())
            return [check(one) for one in await self.peers.ask(node, what, left_s, told, **facts)]
        except Incompatible:
            self._warn(node)
            raise
        except TooLate:
            self._late[node] = trio.current_time()
            raise

    def missing_name(self, node: str, error: NoAnswer) -> str:
        """Return the name of a node without an answer, and why, if it is not silent."""
        name = self.peers.name_of(node)
        return f"{name} ({INCOMPATIBLE})" if isinstance(error, Incompatible) else name

    def _warn(self, node: str) -> None:
        """Log once of each node that it is of another version."""
        if node not in self._incompatible:
            self._incompatible[node] = None
            log.warning("a node has an incompatible version", node=self.peers.name_of(node))
            while len(self._incompatible) > WARNED_MAX:
                self._incompatible.popitem(last=False)
