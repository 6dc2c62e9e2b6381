"""Connections of the pages: so many and no more, each served by Hypercorn, each on its own.

Hypercorn's own loop knows no bound, and ends with the first connection that it cannot cope with.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

import h11
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from trio_util import AsyncValue

from audio_server.rpc.admission import client_network
from audio_server.rpc.io.tls import break_cycle
from audio_server.web.address import is_loopback
from audio_server.web.endpoint import Listener

CONNECTIONS_MAX: Final = 1024
"""Open at the same time, half of them from one address, unless it is this machine's own. Pages need
about six each; devices need the files of the process too."""

END_S: Final = 0.5
"""How long requests have to come to their end."""

READ_S: Final = 30
"""How long a request may take to come, and how long a connection may be silent after one."""

HANDSHAKE_S: Final = 10

PART_BYTES: Final = 64 * 1024
TAKEN_S: Final = 30
"""How long a client may take for a part of what it is sent."""

MESSAGE_MAX_BYTES: Final = 4096

Transport: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]

log = structlog.get_logger()


async def serve_connections(app: Any, listener: Listener, over: trio.Event) -> None:
    """Serve an ASGI application until `over`, and then for `END_S`. Closes the listener.

    What goes wrong with a connection is logged and ends that connection. A cancel ends all at once.
    """
    connections = Connections(app)
    async with trio.open_nursery() as serving:
        await serving.start(connections.abort_when_cancelled)
        async with trio.open_nursery() as accepting:
            accept = partial(trio.serve_listeners, handler_nursery=serving)
            accepting.start_soon(accept, connections.serve, [listener])
            await over.wait()
            accepting.cancel_scope.cancel()
        await connections.end()
        serving.cancel_scope.cancel()


class Connection(TCPServer):
    """One that is HTTP/1.1 whatever a client asks for, and waits for nobody who is not there.

    Hypercorn's becomes HTTP/2 for whoever wishes, which has no bound to what it keeps for a client
    that does not read. It waits without end for a client that does not take what is sent, even
    when the server stops, and for the time of an idle one when there is no client any more.
    """

    _is_over = False

    async def protocol_send(self, event: Event) -> None:
        """What Hypercorn has to send. It is not cancelled half sent: more might follow it."""
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                await self._send(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await self.protocol.handle(Closed())

    async def _send(self, data: bytes) -> None:
        for start in range(0, len(data), PART_BYTES):
            with trio.move_on_after(TAKEN_S, shield=True) as waiting:
                await self.stream.send_all(data[start : start + PART_BYTES])
            if waiting.cancelled_caught:
                socket_of(self.stream).close()
                raise trio.ClosedResourceError

    async def _read_data(self) -> None:
        http1: Any = self.protocol.protocol
        http1._check_protocol = _ask_for_no_other
        http1.connection = _Http1(h11.SERVER, self.config.h11_max_incomplete_size)
        http1.task_group = _Tasks(self._task_group)
        await super()._read_data()
        self._is_over = True
        http1.task_group.end()
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        if not self._is_over:
            await super()._idle_timeout()


class _Tasks:
    """Hypercorn's tasks of one connection. Those that serve the connection itself end with it: the
    pings of a WebSocket would sleep for half a minute more, and keep the connection meanwhile.
    """

    def __init__(self, group: TaskGroup) -> None:
        self.spawn_app = group.spawn_app
        self._spawn = group.spawn
        self._scopes: set[trio.CancelScope] = set()

    def spawn(self, task: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Start a task that `end` cancels."""
        self._spawn(self._run, task, *args)

    async def _run(self, task: Callable[..., Awaitable[None]], *args: Any) -> None:
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            await task(*args)
        self._scopes.discard(scope)

    def end(self) -> None:
        """Cancel what was started with `spawn`."""
        for scope in self._scopes:
            scope.cancel()


class _Http1(h11.Connection):
    """One that leaves nothing of a peer's error behind: h11's refers to itself by the frames in
    which it was raised."""

    def next_event(self) -> Any:
        """As h11's."""
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            raise error.with_traceback(None) from None


async def _ask_for_no_other(request: object) -> None:
    """In the place of what would change to HTTP/2."""


def _take_apart(connection: Connection) -> None:
    """Let reference counts free a connection that is over. Hypercorn's objects refer to each other,
    and old objects are rarely collected (`audio_server.process.gc_policy`)."""
    protocol = vars(connection).get("protocol")
    http1 = getattr(protocol, "protocol", None)
    for part in (getattr(http1, "stream", None), http1, protocol, connection):
        if part is not None:
            vars(part).clear()


def _host_of(stream: Transport) -> str | None:
    """Where a connection comes from; None for one that is gone already."""
    try:
        return str(socket_of(stream).getpeername()[0])
    except OSError:
        return None


def socket_of(stream: Transport) -> trio.socket.SocketType:
    """What is under a connection; to close it ends whatever waits for it."""
    if isinstance(stream, trio.SSLStream):
        return stream.transport_stream.socket
    return stream.socket


class Connections:
    """Those that are open now."""

    def __init__(self, app: Any) -> None:
        self._app = ASGIWrapper(app)
        self._config = make_config()
        self._context = WorkerContext(None)
        self._open: dict[Transport, str] = {}  # and where each comes from
        self._from = Counter[str]()
        self._count = AsyncValue(0)
        self._is_full = False

    async def serve(self, stream: Transport) -> None:
        """Serve a connection to its end, and close it."""
        host = _host_of(stream)
        if host is None or not self._has_room(host):
            await trio.aclose_forcefully(stream)
            break_cycle(stream)
            return
        self._open[stream] = client_network(host)
        self._from[client_network(host)] += 1
        self._count.value += 1
        try:
            await self._serve_on(stream)
        except* Exception:
            log.exception("connection of the pages failed", peer=host)
        finally:
            self._forget(stream)
            break_cycle(stream)

    # Any: what Hypercorn wants it calls a TLS stream, and takes the other as well
    async def _serve_on(self, stream: Any) -> None:
        state = ConnectionState({})
        connection = Connection(self._app, self._config, self._context, state, stream)
        try:
            await connection
        finally:
            _take_apart(connection)

    def _forget(self, stream: Transport) -> None:
        place = self._open.pop(stream)
        self._from[place] -= 1
        if not self._from[place]:
            del self._from[place]
        self._count.value -= 1

    def _has_room(self, host: str) -> bool:
        """Whether one more may come; that there is none is logged when it begins to be so."""
        share = CONNECTIONS_MAX if is_loopback(host) else CONNECTIONS_MAX // 2
        was_full, open_here = self._is_full, self._from[client_network(host)]
        self._is_full = len(self._open) >= CONNECTIONS_MAX or open_here >= share
        if self._is_full and not was_full:
            log.warning("connections to the pages are refused", open=len(self._open), peer=host)
        return not self._is_full

    async def end(self) -> None:
        """Have idle connections closed, and others when they have answered, within `END_S`."""
        await self._context.terminated.set()
        with trio.move_on_after(END_S):
            await self._count.wait_value(0)

    async def abort_when_cancelled(self, *, task_status: trio.TaskStatus[None]) -> None:
        """What is being sent is shielded, and so would not end."""
        try:
            task_status.started()
            await trio.sleep_forever()
        finally:
            for stream in self._open:
                socket_of(stream).close()


def make_config() -> Config:
    """What Hypercorn is told."""
    config = Config()
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.read_timeout = None
    config.keep_alive_timeout = READ_S
    config.ssl_handshake_timeout = HANDSHAKE_S
    config.websocket_max_message_size = MESSAGE_MAX_BYTES
    config.websocket_ping_interval = READ_S
    return config
