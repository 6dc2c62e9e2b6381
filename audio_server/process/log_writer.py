"""A bounded queue of lines, written to a file by a thread of its own.

A pipe whose reader is stuck, or a terminal that was stopped, blocks a write for as long as it
likes. On the event loop that would stop everything, so only this thread ever waits for it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

LINES_MAX = 4096
BYTES_MAX = 1024 * 1024
"""Bounds of the queue: a few seconds of a busy log; older lines are of little use."""

WRITE_BYTES = select.PIPE_BUF
"""At most so much is written at once, unless one line is longer: a pipe keeps it in one piece, so
lines of several processes do not mix."""

REST_S = 0.05
"""Pause of the thread when it has written all there was, unless it is waited for or the queue is
half full: each wake takes time of the loop, so lines that come close together share one."""

DescribeLost = Callable[[int], bytes]
"""Returns the line that says how many lines were lost."""


def describe_lost(lines: int) -> bytes:
    """Say it in plain text."""
    return b"%d lines of log were lost: they could not be written in time\n" % lines


class LogWriter:
    """Writes to the open file `fd`, which stays the caller's. Thread-safe; never raises.

    Lines that do not fit into the queue, and those that the file refuses (its reader is gone, the
    disk is full), are lost; once there is room a line says how many.
    """

    def __init__(self, fd: int, *, lines_max: int = LINES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.describe_lost: DescribeLost = describe_lost
        self._fd = fd
        self._lines_max = lines_max
        self._bytes_max = bytes_max
        # With each entry, how many lines are lost with it.
        self._queue: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._lost = 0
        self._is_writing = False
        self._is_idle = False
        self._is_closed = False
        self._flushing = 0
        # Its lock is reentrant: a finalizer that runs in the middle of `write` may write, too.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Queue whole lines; returns at once."""
        lines = max(1, data.count(b"\n"))
        with self._changed:
            if not self._has_room(len(data)):
                self._lost += lines
                return
            self._note_lost()
            self._put(data, lines)
            if self._is_idle or self._is_urgent():
                self._changed.notify_all()

    def flush(self, within_s: float) -> bool:
        """Wait until all that was queued is written or lost; False where it takes too long."""
        deadline = time.monotonic() + within_s
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            left_s = max(0.0, deadline - time.monotonic())
            try:
                return self._changed.wait_for(lambda: not (self._queue or self._is_writing), left_s)
            finally:
                self._flushing -= 1

    def close(self) -> None:
        """End the thread once the queue is empty; lines that are written later stay in it."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _is_urgent(self) -> bool:
        return (
            self._is_closed
            or self._flushing > 0
            or 2 * len(self._queue) > self._lines_max
            or 2 * self._bytes > self._bytes_max
        )

    def _has_room(self, size: int) -> bool:
        return len(self._queue) < self._lines_max and self._bytes + size <= self._bytes_max

    def _put(self, data: bytes, lines: int) -> None:
        self._queue.append((data, lines))
        self._bytes += len(data)

    def _note_lost(self) -> None:
        """Put the number of lost lines where they would have been."""
        if self._lost:
            lost, self._lost = self._lost, 0
            self._put(self.describe_lost(lost), lost)

    # The thread

    def _run(self) -> None:
        while batch := self._next_batch():
            data, lines = batch
            is_written = self._write(data)
            with self._changed:
                self._is_writing = False
                if not is_written:
                    self._lost += lines
                elif not self._queue:
                    self._note_lost()
                self._changed.notify_all()
                if not self._queue:
                    self._changed.wait_for(self._is_urgent, REST_S)

    def _next_batch(self) -> tuple[bytes, int] | None:
        """As many lines as one write takes, and how many are lost if it fails; None at the end."""
        with self._changed:
            self._is_idle = True
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            self._is_idle = False
            batch, lost = bytearray(), 0
            while self._queue and (not batch or len(batch) + len(self._queue[0][0]) <= WRITE_BYTES):
                data, lines = self._queue.popleft()
                batch += data
                lost += lines
            self._bytes -= len(batch)
            self._is_writing = bool(batch)
            return (bytes(batch), lost) if batch else None

    def _write(self, data: bytes) -> bool:
        """Write it all, however long that takes; False where the file refuses it."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # another user of the file has made it non-blocking
                select.select((), (self._fd,), ())
            except OSError:
                return False
        return True
