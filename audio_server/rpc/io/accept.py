"""Accepting connections, also where files run out."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable

import structlog
import trio

from audio_server.rpc.rate_limit import Rate, TokenBucket

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""The process or the system has none left: accept(2) may succeed later."""

_ROOM_S = 0.01
"""A connection that was told to end has closed its file by then."""

_RETRY_S = 0.1
"""Where no connection could be ended."""

_LINES: Rate = (1, 0.1)

Serve = Callable[[trio.SocketStream], Awaitable[None]]

log = structlog.get_logger()


class ArrivalPace:
    """The rate at which connections are let in.

    Those that are turned away at once do not count: a flood of them, past the limits of its
    address, is cheap, and keeps no device waiting.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._bucket: TokenBucket | None = None

    def let_in(self) -> None:
        """Count a connection."""
        self._filled().book(trio.current_time())

    def delay_s(self) -> float:
        """Return for how long no more should be accepted."""
        return self._filled().owed_s(trio.current_time())

    def _filled(self) -> TokenBucket:
        if self._bucket is None:  # a server is made before its loop runs
            self._bucket = TokenBucket(self._rate, trio.current_time())
        return self._bucket


class Acceptor:
    """Accepts connections and serves each in a task of its own.

    Where the system has no room for one more, `make_room` is to end another, and tells whether it
    did; that is logged once in ten seconds at most. With an `ArrivalPace`, of all listeners
    together, connections stay in the kernel's queue while too many were let in: a crowd that
    comes at once would else take the loop from those that play.
    """

    def __init__(
        self, serve: Serve, make_room: Callable[[], bool], pace: ArrivalPace | None = None
    ) -> None:
        self._serve = serve
        self._make_room = make_room
        self._pace = pace
        self._lines: TokenBucket | None = None

    async def run(
        self, listener: trio.abc.Listener[trio.SocketStream], connections: trio.Nursery
    ) -> None:
        """Accept until cancelled, with the tasks in `connections`. Closes the listener."""
        async with listener:
            while True:
                try:
                    transport = await listener.accept()
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    await self._wait_room(error.errno)
                else:
                    connections.start_soon(self._serve_one, transport)
                    if self._pace is not None and (delay_s := self._pace.delay_s()):
                        await trio.sleep(delay_s)

    async def _serve_one(self, transport: trio.SocketStream) -> None:
        try:
            await self._serve(transport)
        finally:
            await trio.aclose_forcefully(transport)

    async def _wait_room(self, error_number: int) -> None:
        has_room = self._make_room()
        self._tell(os.strerror(error_number), has_room)
        await trio.sleep(_ROOM_S if has_room else _RETRY_S)

    def _tell(self, reason: str, has_room: bool) -> None:
        now = trio.current_time()
        if self._lines is None:
            self._lines = TokenBucket(_LINES, now)
        if self._lines.take(now):
            log.warning("connection not accepted", reason=reason, ended_another=has_room)
