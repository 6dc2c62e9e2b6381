"""Questions of this process to a node, each until its answer, its deadline or the node's end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from audio_server.cluster.interface import NoAnswer, TooLate

ASKED_MAX = 256
"""How many questions may wait for the answers of one node."""


@dataclass(slots=True, eq=False)
class Asked:
    """A `Question` that waits here. `until` is the last time at which it may be obeyed."""

    what: str
    facts: Mapping[str, Any]
    within_s: float
    until: float
    parts: list[Any] = field(default_factory=list)
    patience: trio.CancelScope = field(default_factory=trio.CancelScope)
    is_answered: bool = False
    over: trio.Event = field(default_factory=trio.Event)

    def add(self, part: Any) -> None:
        """Take a part of the answer, and be patient again; drop it once this has been given up."""
        if self.over.is_set():
            return
        self.parts.append(part)
        self.patience.deadline = trio.current_time() + self.within_s

    def end(self, *, is_answered: bool) -> None:
        """Take the end of the answer."""
        self.is_answered = is_answered
        self.over.set()

    def refuse(self) -> None:
        """Take the end of an answer that there is not."""
        self.end(is_answered=False)

    async def wait_room(self) -> None:
        """Let other tasks run."""
        await trio.lowlevel.checkpoint()


class Questions:
    """Those to one node."""

    def __init__(self) -> None:
        self._asked: set[Asked] = set()
        self._is_over = False

    async def ask(self, asked: Asked, put: Callable[[Asked], None]) -> list[Any]:
        """Put a question and return the parts of its answer; see `Nodes.ask`."""
        if self._is_over or len(self._asked) >= ASKED_MAX:
            raise NoAnswer
        self._asked.add(asked)
        asked.patience.deadline = trio.current_time() + asked.within_s
        try:
            put(asked)
            with asked.patience:
                await asked.over.wait()
        finally:
            asked.over.set()
            self._asked.discard(asked)
        if asked.patience.cancelled_caught:
            raise TooLate
        if not asked.is_answered:
            raise NoAnswer
        return asked.parts

    def end(self) -> None:
        """Answer none: the node is gone."""
        self._is_over = True
        for asked in self._asked:
            asked.over.set()
