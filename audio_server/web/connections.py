"""Connections of the pages: so many and no more, each served on its own.

Hypercorn's own loop knows no bound, and ends with the first connection that it cannot cope with.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.trio.worker_context import WorkerContext
from trio_util import AsyncValue

from audio_server.rpc.trusted_proxies import PeerLimits
from audio_server.web.connection import (
    AT_ONCE,
    KEEPALIVE_S,
    Connection,
    make_config,
)
from audio_server.web.outgoing import Outgoing
from audio_server.web.places import REASONS, Places
from audio_server.web.visit import Visit
from audio_server.web.websocket import WebSocketStream

END_S: Final = 0.5
"""How long requests have to come to their end."""

log = structlog.get_logger()


async def serve_connections(
    app: Any,
    listeners: Sequence[trio.SocketListener],
    over: trio.Event,
    keepalive_s: float = KEEPALIVE_S,
    peers: PeerLimits | None = None,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve an ASGI application until `over`, and then for `END_S`. Closes the listeners.

    A fault of a connection is logged and ends that connection. A cancel ends all at once.
    """
    connections = Connections(app, keepalive_s, peers, tls)
    async with trio.open_nursery() as serving:
        await serving.start(connections.abort_when_cancelled)
        async with trio.open_nursery() as accepting:
            accept = partial(trio.serve_listeners, handler_nursery=serving)
            accepting.start_soon(accept, connections.serve, list(listeners))
            await over.wait()
            accepting.cancel_scope.cancel()
        await connections.end()
        serving.cancel_scope.cancel()


class Connections:
    """Those that are open now."""

    def __init__(
        self,
        app: Any,
        keepalive_s: float,
        peers: PeerLimits | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._app = ASGIWrapper(app)
        self._config = make_config(keepalive_s)
        self._context = WorkerContext(None)
        self._places = Places(peers)
        self._tls = tls
        self._outgoing = Outgoing()
        self._turns = trio.CapacityLimiter(AT_ONCE)
        self._open: set[trio.socket.SocketType] = set()
        self._count = AsyncValue(0)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve a connection to its end, and close it."""
        socket = stream.socket
        host = _host_of(socket)
        visit = None if host is None else self._enter(host, socket)
        if visit is None:
            await trio.aclose_forcefully(stream)
            return
        self._open.add(socket)
        self._count.value += 1
        try:
            await self._serve_on(stream, visit)
        except* Exception as faults:
            log.error("connection of the pages failed", peer=visit.place, exc_info=faults)
        finally:
            self._places.leave(visit, trio.current_time())
            self._open.remove(socket)
            self._count.value -= 1

    async def _serve_on(self, stream: trio.SocketStream, visit: Visit) -> None:
        shared = (self._app, self._config, self._context)
        connection = Connection(*shared, stream, self._tls, visit, self._outgoing, self._turns)
        try:
            await connection
        finally:
            _take_apart(connection)

    def _enter(self, host: str, socket: trio.socket.SocketType) -> Visit | None:
        entrance = self._places.enter(host, socket.close, trio.current_time())
        if entrance.reason is not None:
            reason = REASONS[entrance.reason]
            log.warning("connection to the pages refused", peer=host, reason=reason, **self._facts)
        elif (evicted := entrance.evicted) is not None:
            stage = evicted.stage.name.lower()
            event = "connection to the pages gave way to a new one"
            log.warning(event, peer=evicted.place, stage=stage, **self._facts)
        return entrance.visit

    @property
    def _facts(self) -> dict[str, int]:
        return {"open": len(self._places)}

    async def end(self) -> None:
        """Have idle connections closed, and others when they have answered, within `END_S`."""
        await self._context.terminated.set()
        with trio.move_on_after(END_S):
            await self._count.wait_value(0)

    async def abort_when_cancelled(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Sending is shielded, and so a cancel alone would not end it."""
        try:
            task_status.started()
            await trio.sleep_forever()
        finally:
            for socket in self._open:
                socket.close()


def _take_apart(connection: Connection) -> None:
    """Let reference counts free a connection that is over. Hypercorn's objects refer to each other,
    and old objects are rarely collected (`audio_server.process.gc_policy`)."""
    http1 = vars(connection).get("protocol")
    stream = getattr(http1, "stream", None)
    if isinstance(stream, WebSocketStream):
        stream.break_cycle()
    for part in (stream, http1, connection):
        if part is not None:
            vars(part).clear()


def _host_of(socket: trio.socket.SocketType) -> str | None:
    """Where a connection comes from; None for one that is gone already."""
    try:
        return str(socket.getpeername()[0])
    except OSError:
        return None
