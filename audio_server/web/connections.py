"""Connections of the pages: so many and no more, each served by Hypercorn, each on its own.

Hypercorn's own loop knows no bound, and ends with the first connection that it cannot cope with.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Final, TypeAlias

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from audio_server.web.way_in import Listener

CONNECTIONS_MAX: Final = 1024
"""Open at the same time. Pages need about six each; devices need the files of the process too."""

END_S: Final = 0.5
"""How long requests have to come to their end."""

READ_S: Final = 30
"""How long a request may take to come, and how long a connection may be silent after one."""

HANDSHAKE_S: Final = 10

MESSAGE_MAX_BYTES: Final = 4096

Transport: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]

log = structlog.get_logger()


async def serve_connections(app: Any, listener: Listener, over: trio.Event) -> None:
    """Serve an ASGI application until `over`, and then for `END_S`. Closes the listener.

    What goes wrong with a connection is logged and ends that connection.
    """
    connections = Connections(app)
    async with trio.open_nursery() as serving:
        async with trio.open_nursery() as accepting:
            accept = partial(trio.serve_listeners, handler_nursery=serving)
            accepting.start_soon(accept, connections.serve, [listener])
            await over.wait()
            accepting.cancel_scope.cancel()
        await connections.end()
        serving.cancel_scope.deadline = trio.current_time() + END_S


class Connection(TCPServer):
    """One that is HTTP/1.1 whatever a client asks for, and ends when it hangs up.

    Hypercorn's becomes HTTP/2 for whoever wishes, which has no bound to what it keeps for a client
    that does not read. And it waits until it would have been idle for too long, with its file
    open, when nobody is there any more.
    """

    _is_over = False

    async def _read_data(self) -> None:
        http1: Any = self.protocol.protocol
        http1._check_protocol = _ask_for_no_other
        await super()._read_data()
        self._is_over = True
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        if not self._is_over:
            await super()._idle_timeout()


async def _ask_for_no_other(request: object) -> None:
    """In the place of what would change to HTTP/2."""


class Connections:
    """Those that are open now."""

    def __init__(self, app: Any) -> None:
        self._app = ASGIWrapper(app)
        self._config = make_config()
        self._context = WorkerContext(None)
        self._open = 0

    async def serve(self, stream: Transport) -> None:
        """Serve a connection to its end, and close it."""
        if self._open >= CONNECTIONS_MAX:
            log.warning("connection to the pages refused", open=self._open)
            await trio.aclose_forcefully(stream)
            return
        self._open += 1
        try:
            # Any: what it wants it calls a TLS stream, and takes the other as well
            to: Any = stream
            await Connection(self._app, self._config, self._context, ConnectionState({}), to)
        except* Exception:
            log.exception("connection of the pages failed")
        finally:
            self._open -= 1

    async def end(self) -> None:
        """Have idle connections closed, and others when they have answered."""
        await self._context.terminated.set()


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
