"""One worker, as the fleet of all workers sees it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog
import trio

from audio_server.fleet.interface import Outcome, Outcomes
from audio_server.fleet.ipc_client import Clock, IpcClient, NoAnswer, TooLate

LATE_S = 2.0
"""A worker that does not answer for so long is left out until it does."""

PING_S = 5.0

SILENT = Outcome("failed", "its worker gave no answer")

log = structlog.get_logger()


class WorkerClient:
    """Worker number `number`, for as long as its process lives; `stream` leads there."""

    def __init__(self, number: int, stream: trio.abc.Stream, *, clock: Clock) -> None:
        self.number = number
        self.is_known = False
        """Whether all its devices have been received since it answers."""
        self.heard: int | None = 0
        """Number of the last event that went to subscribers: none of a new process. None skips
        the events of the past."""
        self._line = IpcClient(stream, clock=clock)
        self._late = trio.Event()
        self._has_answered = False

    async def run(self) -> None:
        """Run until the process is gone. Closes the stream."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wait_back)
            await self._line.run()
            nursery.cancel_scope.cancel()

    @property
    def is_late(self) -> bool:
        """Whether it has failed to answer in time, and has not since."""
        return self._late.is_set()

    async def ask(self, what: str, within_s: float = LATE_S, **facts: Any) -> list[Any]:
        """Yield the parts of its answer. Raises `NoAnswer`, at once while it `is_late`."""
        if self.is_late:
            raise NoAnswer
        try:
            parts = await self._line.ask(what, within_s, **facts)
        except TooLate:
            self._late.set()
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

    async def _wait_back(self) -> NoReturn:
        while True:
            await self._late.wait()
            if self._has_answered:
                log.warning("worker does not answer", worker=self.number)
            else:  # it is being started: subscribers get all of its rows
                log.info("worker does not answer yet", worker=self.number)
            await self._wait_answer()
            log.info("worker answers", worker=self.number)
            self._late = trio.Event()

    async def _wait_answer(self) -> None:
        while True:
            with suppress(NoAnswer):
                await self._line.ask("ping", PING_S)
                return
            await trio.sleep(LATE_S)
