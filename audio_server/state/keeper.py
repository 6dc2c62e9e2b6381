"""The state file off the loop: opened when there is something to write, checked, and made anew from
memory when it is damaged, deleted or replaced. One thread at a time does the blocking work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar, TypeVarTuple, Unpack

import structlog
import trio

from audio_server.state.file import StateDamaged, StateFile, StateLost, set_aside
from audio_server.state.on_disk import LogLost, set_others_log_aside
from audio_server.state.record import Record

ANEW_MAX, ANEW_WITHIN_S = 10, 300.0
"""How often the file is made anew. Past that it counts as a disk that fails: a program that
replaces it again and again would fill the folder with files that were set aside."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Opener = Callable[[Path], StateFile]

log = structlog.get_logger()


class Memory(Protocol):
    """The memory of which the file is a copy."""

    def learn(self, found: Record, unwritten: Record) -> None:
        """Take in the file's notes, read for the first time; `unwritten` ones are newer."""

    def everything(self) -> Record:
        """Return all that the file should hold."""


class FileKeeper:
    """Writes notes into the file `path`. Used by one task at a time."""

    def __init__(self, path: Path, open_file: Opener, memory: Memory) -> None:
        self._path = path
        self._open_file = open_file
        self._memory = memory
        self._file: StateFile | None = None
        self._generation: bytes | None = None
        self._has_learnt = False
        self._is_incomplete = False  # the file lacks what memory has, besides the next notes
        self._one_thread = trio.CapacityLimiter(1)
        self._made_anew: deque[float] = deque(maxlen=ANEW_MAX)

    async def write(self, notes: Record) -> None:
        """Write notes; without any, see whether those that were written are still there.

        A file that is damaged, or no longer the one that was written to, is made anew from
        memory. Raises `sqlite3.Error`, `OSError` or `SetupError` if that fails; `close` then.
        """
        try:
            await self._write(notes)
        except (StateDamaged, StateLost) as error:
            await self._begin_anew(error)
            await self._write(notes)

    async def close(self) -> None:
        """Let go of the file; the next write opens it again."""
        file, self._file = self._file, None
        if file is not None:
            self._generation = file.generation
            await self._in_thread(file.close)

    async def _write(self, notes: Record) -> None:
        file = self._file or await self._open(notes)
        if self._is_incomplete:
            await self._in_thread(file.write, notes.over(self._memory.everything()))
            self._is_incomplete = False
        elif notes:
            await self._in_thread(file.write, notes)
        else:
            await self._in_thread(file.check)

    async def _open(self, notes: Record) -> StateFile:
        file, found = await self._in_thread(self._open_and_read)
        self._file = file
        if not self._has_learnt:
            self._has_learnt = True
            self._memory.learn(found, notes)
        elif file.found is None:
            self._is_incomplete = True
        elif file.found != self._generation:
            raise StateLost(self._path, "was replaced while it was not in use")
        return file

    def _open_and_read(self) -> tuple[StateFile, Record]:
        if self._generation and not self._is_incomplete and not self._path.exists():
            raise StateLost(self._path, "was deleted while it was not in use")
        file = self._open_file(self._path)
        try:
            return file, file.read()
        except BaseException:
            file.close()
            raise

    async def _begin_anew(self, error: StateDamaged | StateLost) -> None:
        self._count(error)
        # Before the old file is closed: SQLite then knows that it was moved, and leaves alone
        # the log of the file in its place.
        aside = await self._in_thread(self._make_room, error)
        await self.close()
        self._is_incomplete = True
        self._warn(error, aside)

    def _make_room(self, error: StateDamaged | StateLost) -> Path | None:
        if isinstance(error, LogLost):
            return set_others_log_aside(self._path)
        if isinstance(error, StateDamaged):
            return set_aside(self._path, "corrupt")
        if self._file is not None:
            self._file.drop_log()
        return set_aside(self._path, "replaced")

    def _count(self, error: StateDamaged | StateLost) -> None:
        """Raise the error if the file was made anew too often lately."""
        now, times = trio.current_time(), self._made_anew
        if len(times) == ANEW_MAX and now - times[0] < ANEW_WITHIN_S:
            raise error
        times.append(now)

    def _warn(self, error: StateDamaged | StateLost, aside: Path | None) -> None:
        facts = {} if aside is None else {"now": str(aside)}
        facts["remedy"] = "modes and the inventory are written anew from memory"
        if isinstance(error, StateLost):
            log.warning("state file lost", reason=str(error), **facts)
        else:
            log.warning("state file set aside", reason=str(error), **facts)

    async def _in_thread(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Run blocking work, one piece at a time, also after a cancel has abandoned one."""
        return await trio.to_thread.run_sync(
            work, *args, abandon_on_cancel=True, limiter=self._one_thread
        )
