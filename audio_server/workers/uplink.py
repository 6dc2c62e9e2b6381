"""A worker's end of the pipe to the supervisor, which all workers share."""

from __future__ import annotations

import os
from collections import deque

import trio
from trio_util import AsyncValue

from audio_server.workers.messages import LINE_MAX_BYTES, Up, encode


class Uplink:
    """Writes messages, in order, each whole. Does not close the pipe, whose end `fd` is.

    Messages that the pipe does not take wait here. They are bounded by the calls of the worker:
    each waits for its own message before it goes on.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: deque[bytes] = deque()
        self._written = AsyncValue(0)
        self._some = trio.Event()
        os.set_blocking(fd, False)

    def send(self, message: Up) -> None:
        """Write a message now, or soon if the pipe is full. Never blocks."""
        line = encode(message)
        if len(line) > LINE_MAX_BYTES:
            raise ValueError(f"a message of {len(line)} bytes may not be written whole")
        self._waiting.append(line)
        if len(self._waiting) == 1 and not self._write():
            self._some.set()

    async def wait_written(self) -> None:
        """Return when all earlier messages are in the pipe, or its reader is gone.

        Does not yield if they are already.
        """
        if self._waiting:
            mark = self._written.value + len(self._waiting)
            await self._written.wait_value(lambda written: written >= mark)

    async def run(self) -> None:
        """Write waiting messages, until cancelled."""
        while True:
            await self._some.wait()
            await trio.lowlevel.wait_writable(self._fd)
            if self._write():
                self._some = trio.Event()

    def _write(self) -> bool:
        """Write the bytes that the pipe takes; return whether those were all."""
        written = 0
        try:
            while self._waiting:
                os.write(self._fd, self._waiting[0])
                self._waiting.popleft()
                written += 1
        except BlockingIOError:
            return False
        except BrokenPipeError:
            # The supervisor is gone, and this worker is about to follow.
            written += len(self._waiting)
            self._waiting.clear()
        finally:
            self._written.value += written
        return True
