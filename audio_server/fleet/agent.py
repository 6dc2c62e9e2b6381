"""One node, as the fleet of all nodes asks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog
import trio

from audio_server.cluster.interface import NoAnswer, Nodes, TooLate
from audio_server.fleet.interface import Outcome, Outcomes

LATE_S = 2.0
"""A node that does not answer for so long is left out until it does."""

PING_S = 5.0

SILENT = Outcome("failed", "its worker gave no answer")

log = structlog.get_logger()


class Agent:
    """A node, for as long as its process lives: worker number `worker`. `on_late` is called when
    it becomes late, and has `wait_back` run."""

    def __init__(
        self, nodes: Nodes, node: str, worker: int, on_late: Callable[[Agent], None]
    ) -> None:
        self.node = node
        self.is_known = False
        """Whether all its devices have been received since it answers."""
        self.heard: int | None = 0
        """Number of the last event that went to subscribers: none of a new process. None skips
        the events of the past."""
        self.seen = 0
        """Number of the last answer with sightings that was taken."""
        self.collecting = trio.Lock()
        """Held while its sightings are asked for."""
        self.is_late = False
        """Whether it has failed to answer in time, and has not since."""
        self._nodes = nodes
        self._worker = worker
        self._on_late = on_late
        self._has_answered = False

    async def ask(self, what: str, within_s: float = LATE_S, **facts: Any) -> list[Any]:
        """Return the parts of its answer. Raises `NoAnswer`, at once while it `is_late`."""
        if self.is_late:
            raise NoAnswer
        try:
            parts = await self._nodes.ask(self.node, what, within_s, **facts)
        except TooLate:
            if not self.is_late:
                self.is_late = True
                self._on_late(self)
            raise
        self._has_answered = True
        return parts

    async def act(
        self, what: str, within_s: float, concerned: Sequence[str], **facts: Any
    ) -> Outcomes:
        """Return the outcomes of an action on devices, of those `concerned` at least. With
        no answer it may have been done or not."""
        try:
            parts = await self.ask(what, within_s, **facts)
        except NoAnswer:
            return dict.fromkeys(concerned, SILENT)
        return {key: Outcome(*outcome) for part in parts for key, outcome in part.items()}

    async def wait_back(self) -> None:
        """Return when a late node answers again, or is gone."""
        if self._has_answered:
            log.warning("worker does not answer", worker=self._worker)
        else:  # it is being started: subscribers get all of its rows
            log.info("worker does not answer yet", worker=self._worker)
        if await self._answers():
            log.info("worker answers", worker=self._worker)
        self.is_late = False

    async def _answers(self) -> bool:
        while True:
            try:
                await self._nodes.ask(self.node, "ping", PING_S)
            except TooLate:
                await trio.sleep(LATE_S)
            except NoAnswer:
                return False
            else:
                return True
