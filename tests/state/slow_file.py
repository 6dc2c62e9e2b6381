"""A store of modes whose file is as slow as a test wants it, or fails."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from structlog.typing import EventDict

from audio_server.state.modes import FileModeStore
from audio_server.state.record import Record


class SlowFile:
    """A file whose writes wait until they are let go, and which can be made to fail."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.names: dict[str, str | None] = {}
        self.writes: list[dict[str, int]] = []
        self.opened = 0
        self.error: Exception | None = None
        self.begun = threading.Semaphore(0)
        self.may_write = threading.Semaphore(0)
        self.is_slow = False

    def __call__(self, path: Path) -> SlowFile:
        self.opened += 1
        self._raise()
        return self

    found = generation = b""

    def check(self) -> None:
        self._raise()

    def read(self) -> Record:
        return Record(dict(self.rows), dict(self.names))

    def write(self, notes: Record) -> None:
        self.begun.release()
        if self.is_slow:
            self.may_write.acquire()
        self._raise()
        self.writes.append(dict(notes.modes))
        self.rows.update(notes.modes)
        self.names.update(notes.names)

    def close(self) -> None:
        pass

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error


def warnings(entries: list[EventDict]) -> list[str]:
    """The events that an operator is warned of."""
    return [entry["event"] for entry in entries if entry["log_level"] == "warning"]


async def until(condition: Callable[[], bool]) -> None:
    """Let a clock that jumps go on: what a thread does is no event."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(1)


async def soon(condition: Callable[[], bool]) -> None:
    """Return when it holds, on a clock that is real; raises `TooSlowError` after five seconds."""
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)


FULL = sqlite3.OperationalError("database or disk is full")


@asynccontextmanager
async def running(store: FileModeStore):
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def stored(file: SlowFile, path: Path):
    async with running(FileModeStore(path, open_file=file)) as store:
        yield store
