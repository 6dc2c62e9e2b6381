"""Durable modes, names and inventory: a `ModeStore` on a file, off the loop, in batches.

Devices read and write memory, which never blocks. Changes are collected, and one thread at a time
writes them: while it writes, the next batch grows, so that any number of presses share a
transaction. A press waits in `wait_durable` for its own batch before it is acknowledged; its LEDs
and its sound do not wait.

A disk that fails costs durability, never service: presses are acknowledged from memory, there is
one warning, and the file is tried again from time to time with everything that it has missed. A
disk that hangs counts as one that fails, until it has answered. A file that is deleted or replaced
is noticed with the next batch, at the latest after `LOOK_S`, and made anew from memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import structlog
import trio

from audio_server.device.mode_store import remember
from audio_server.state.file import StateDamaged, StateFile, StateLost, StateUnusable
from audio_server.state.inventory import FileInventory
from audio_server.state.keeper import FileKeeper, Opener
from audio_server.state.record import Record

KEPT_S = 1.0
"""How long a press waits for its mode to be kept. A disk that takes longer counts as failing."""

RETRY_S = 30.0
"""How long a file that failed is left alone."""

LOOK_S = 2.0
"""How often it is seen whether the file is still there."""

LAST_WRITE_S = 2.0
"""How long the last batch may take when the server stops."""

STATE_FILE = "state.db"
"""Name of the file in the data folder."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Batch:
    """Rows that are written together; `kept` is set when they are durable, or cannot be."""

    notes: Record = field(default_factory=Record)
    kept: trio.Event = field(default_factory=trio.Event)
    under_way: bool = False


class FileModeStore:
    """A `ModeStore` whose modes are in the file `path`, and an `InventoryStore` (`inventory`).
    `run` must be running to keep them."""

    is_durable = True

    def __init__(self, path: Path, *, open_file: Opener = StateFile) -> None:
        self._path = path
        self._keeper = FileKeeper(path, open_file, self)
        self._notes = Record()
        self.inventory = FileInventory(self)
        self._next = _Batch()
        self._writing = _Batch()
        self._due = trio.Event()
        self._failing = False
        self._is_running = False

    # As devices see it

    def get(self, device_id: str) -> int:
        """The mode last put, or 0."""
        return self._notes.modes.get(device_id, 0)

    def put(self, device_id: str, mode: int) -> None:
        """Remember a mode, and have it written soon."""
        forgotten = remember(self._notes.modes, device_id, mode)
        self._next.notes.modes[device_id] = mode
        if forgotten is not None:
            self._next.notes.modes[forgotten] = 0
        self._due.set()

    async def wait_durable(self, device_id: str) -> None:
        """Return when all that was put for the device is in the file, or cannot be; within
        `KEPT_S`.

        Does not yield where nothing is on its way.
        """
        await self._wait_for(lambda notes: device_id in notes.modes)

    async def _wait_for(self, is_in: Callable[[Record], bool]) -> None:
        batch = next((one for one in (self._next, self._writing) if is_in(one.notes)), None)
        if batch is None or batch.kept.is_set():
            return
        with trio.move_on_after(KEPT_S) as patience:
            await batch.kept.wait()
        if patience.cancelled_caught:
            self._warn(f"the disk has not answered for {KEPT_S:g} s")
            for waiting in (self._writing, self._next):
                waiting.kept.set()

    # As `inventory` sees it

    @property
    def memory(self) -> Record:
        """All that is known, to be read."""
        return self._notes

    def change(self) -> Record:
        """Return the rows that are written next, soon: for changes that are in `memory` too."""
        self._due.set()
        return self._next.notes

    async def wait_names_durable(self, device_id: str) -> None:
        """As `wait_durable`, for the name and the tags."""
        await self._wait_for(lambda notes: device_id in notes.names or device_id in notes.tags)

    # Its life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read the file, report `started`, then write changes until cancelled.

        Raises `StateUnusable` before that for a file that is another server's. A damaged file is
        set aside; one that cannot be written causes a warning and is tried again. A cancel writes
        the rest, within `LAST_WRITE_S`.
        """
        await self._write(Record())
        self._is_running = True
        task_status.started()
        try:
            await self._write_batches()
        finally:
            with trio.move_on_after(LAST_WRITE_S, shield=True):
                await self._write_last()

    async def _write_batches(self) -> NoReturn:
        while True:
            if self._failing:
                await trio.sleep(RETRY_S)
            with trio.move_on_after(LOOK_S):
                await self._due.wait()
            if self._due.is_set():
                await self._write_batch()
            else:
                await self._write(Record())

    async def _write_batch(self) -> None:
        self._writing, self._next = self._next, _Batch()
        self._due = trio.Event()
        self._writing.under_way = True
        await self._write(self._writing.notes)
        self._writing.under_way = False
        self._writing.kept.set()

    async def _write_last(self) -> None:
        if self._writing.under_way:  # cancelled half-way: to be sure, once more
            self._put_back(self._writing.notes)
        await self._write_batch()
        await self._keeper.close()

    async def _write(self, notes: Record) -> None:
        """Write notes, or put them back; without any, see that the file is still there."""
        try:
            await self._keeper.write(notes)
        except (sqlite3.Error, OSError, StateDamaged, StateLost) as error:
            await self._fail(error, notes)
        except StateUnusable as error:
            if not self._is_running:
                raise
            await self._fail(error, notes)
        else:
            self._succeed()

    # As `FileKeeper` sees it

    def learn(self, found: Record, unwritten: Record) -> None:
        """First successful read: stored values apply unless already overwritten in memory."""
        self._notes = self._next.notes.over(unwritten.over(found)).without_blanks()

    def everything(self) -> Record:
        """Return everything."""
        return self._notes.over(Record())

    async def _fail(self, error: Exception, notes: Record) -> None:
        """Go on from memory, and release the presses that wait for an abandoned batch."""
        self._warn(str(error))
        self._put_back(notes)
        self._next.kept.set()
        self._due.set()
        await self._keeper.close()

    def _warn(self, reason: str) -> None:
        if not self._failing:
            log.warning("modes are kept in memory only", path=str(self._path), reason=reason)
        self._failing = True

    def _succeed(self) -> None:
        if self._failing:
            self._failing = False
            if self._next.kept.is_set():  # no press waits for it yet, but one may from now on
                self._next.kept = trio.Event()
            log.info("modes are kept in the file again", path=str(self._path))

    def _put_back(self, notes: Record) -> None:
        self._next.notes = self._next.notes.over(notes)


@asynccontextmanager
async def open_modes(data: Path | None) -> AsyncIterator[FileModeStore | None]:
    """The store of a server whose data folder this is; None where there is none.

    Raises `StateUnusable` in a group, if another server has the folder. When the block ends all
    that was put is written.
    """
    if data is None:
        yield None
        return
    store = FileModeStore(data / STATE_FILE)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()
