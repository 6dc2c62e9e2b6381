"""One task that hears the sockets of many connections.

To wait for a socket with a task of its own costs two passes of the scheduler, and a system call
that arms the socket anew; for the few bytes that a device says that is more than all they bring
about. Here the sockets are in an epoll of ours, in which they stay armed. trio waits for that one
as for any file, and what is ready is then heard where it is found.
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
"""Takes what a socket has to say. Must not block, and raises nothing."""


class Poller:
    """Hears up to `WIDTH` sockets in a turn of the loop, each as often as the others.

    `run` is its one task. When that is cancelled nobody is heard any more: end them first or with
    it. Whoever makes it closes it, after all who use it; it does not close the sockets.
    """

    __slots__ = ("_epoll", "_on_readable", "_scheduler")

    def __init__(self, scheduler: ReadScheduler) -> None:
        self._scheduler = scheduler
        self._on_readable: dict[int, OnReadable] = {}
        self._epoll = select.epoll()

    def close(self) -> None:
        """Nobody may be added any more."""
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
        """Hear, for ever. Costs nothing while nobody says anything."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            while self._hear_some() == WIDTH:
                await trio.lowlevel.checkpoint()

    def _hear_some(self) -> int:
        """Hear whoever has waited longest; how many there were."""
        ready = self._epoll.poll(0, WIDTH)
        self._scheduler.count(len(ready))
        for fd, _ in ready:
            if on_readable := self._on_readable.get(fd):  # what one has said may have ended another
                self._hear_one(fd, on_readable)
        return len(ready)

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
    """Whether this system has what a poller needs."""
    return sys.platform == "linux"
