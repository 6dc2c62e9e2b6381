"""One task that reads the sockets of many connections.

Fast path of a reading task for each connection: to wait for a socket in a task of its own costs two
passes of the scheduler, and a system call that arms the socket anew, which is more than the work of
the few bytes that a device sends. Here the sockets stay armed in an epoll of ours. trio waits for
that one as for any file, and ready sockets are read in this task (docs/performance.md, "Reads
without wakes").
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import NoReturn

import structlog
import trio

from audio_server.rpc.io.fair_queue import WIDTH, ReadScheduler

log = structlog.get_logger()

OnReadable = Callable[[], None]
"""Reads a socket. Must not block, and raises nothing."""


class Poller:
    """Reads up to `WIDTH` sockets in a turn of the loop, each as often as the others; fewer where
    their bytes open calls.

    `run` is its one task. Its cancel ends all reading: end the connections first or with it. The
    creator closes it, after all connections; it does not close the sockets.
    """

    __slots__ = ("_epoll", "_on_readable", "_scheduler")

    def __init__(self, scheduler: ReadScheduler) -> None:
        self._scheduler = scheduler
        self._on_readable: dict[int, OnReadable] = {}
        self._epoll = select.epoll()

    def close(self) -> None:
        """Close the epoll. Add no socket after this."""
        self._epoll.close()

    def add(self, fd: int, on_readable: OnReadable) -> None:
        """Call `on_readable` whenever the socket is readable or closed, until `remove`."""
        self._epoll.register(fd, select.EPOLLIN)
        self._on_readable[fd] = on_readable

    def remove(self, fd: int) -> None:
        """Hear this socket no more; it is called before that is closed."""
        del self._on_readable[fd]
        self._epoll.unregister(fd)

    async def run(self) -> NoReturn:
        """Read ready sockets, for ever. Costs nothing while all are silent."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            while self._hear_some():
                await trio.lowlevel.checkpoint()

    def _hear_some(self) -> bool:
        """Read the sockets that have waited longest; return whether more may be ready."""
        ready = self._epoll.poll(0, WIDTH)
        full_at = self._scheduler.passed + WIDTH
        for fd, _ in ready:
            if self._scheduler.passed >= full_at:
                return True  # the rest is ready in the next turn, before those that were read
            self._scheduler.count(1)
            # Bytes of one socket may have ended another.
            if on_readable := self._on_readable.get(fd):
                self._hear_one(fd, on_readable)
        return len(ready) == WIDTH

    def _hear_one(self, fd: int, on_readable: OnReadable) -> None:
        try:
            on_readable()
        except Exception:
            # A fault of ours about one connection must not make all others deaf. Its keepalive
            # looks after it.
            log.exception("a socket could not be heard")
            if fd in self._on_readable:
                self.remove(fd)


def is_possible() -> bool:
    """Return whether this system has an epoll."""
    return sys.platform == "linux"
