"""One connection of the pages: its socket, how long each end may take, and HTTP/1.1 on it."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from typing import Any, Final, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from audio_server.rpc.io.tls import shake_hands
from audio_server.web.app_channel import Tasks
from audio_server.web.http1 import Http1
from audio_server.web.in_turn import InTurn
from audio_server.web.outgoing import Outgoing
from audio_server.web.visit import Visit

READ_S: Final = 30
"""How long the first request may take to come."""

KEEPALIVE_S: Final = 75.0
"""How long a connection may be silent after a request, as it comes: longer than the 60 s after
which load balancers close idle ones, or a request of theirs would now and then meet our close."""

QUEUE_MAX: Final = 2
"""How many reads of a body may wait for the application: there are a thousand connections."""

READ_BYTES: Final = 16 * 1024
AT_ONCE: Final = 8
"""How much is read of a connection, and of how many connections something is handled in one turn of
the loop. Sound waits for no longer than that."""

HANDSHAKE_S: Final = 10

PART_BYTES: Final = 64 * 1024
TAKEN_S: Final = 30
"""Time for a client to take one part of an answer."""

CLOSE_S: Final = 2.0
"""How long TLS may take to say that it ends: a client that reads nothing does not hear it."""

MESSAGE_MAX_BYTES: Final = 4096

GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)
"""Errors of sending on a connection that is closed, or is being closed."""


class Connection(TCPServer):
    """A connection that is HTTP/1.1 in every case, and waits for no client that is gone.

    Hypercorn's waits without end for a client that does not read its answer, even when the server
    stops, and for the idle time when the client is gone.
    """

    _is_over = False

    # Hypercorn's type is a TLS stream, but any stream works
    stream: Any

    def __init__(
        self,
        app: ASGIWrapper,
        config: Config,
        context: WorkerContext,
        transport: trio.SocketStream,
        tls: ssl.SSLContext | None,
        visit: Visit,
        outgoing: Outgoing,
        turns: trio.CapacityLimiter,
    ) -> None:
        super().__init__(app, config, context, ConnectionState({}), cast("Any", transport))
        self._transport = transport
        self._tls = tls
        self._turns = turns
        self._visit = visit
        self._outgoing = outgoing
        self._asked_once = False

    async def run(self) -> None:
        """Serve to the end. Closes the stream."""
        try:
            if self._tls is None or await self._shake_hands(self._tls):
                await self._serve()
        except OSError:
            pass  # the client is gone
        finally:
            await self._close()

    async def _shake_hands(self, tls: ssl.SSLContext) -> bool:
        """Replace the stream by one over TLS; a client that is silent has no state of OpenSSL."""
        try:
            # `fail_after` would leave a cycle (`process.socket_errors`)
            with trio.move_on_after(HANDSHAKE_S) as waiting:
                if not await self._transport.socket.recv(1, socket.MSG_PEEK):
                    return False
                in_turn = InTurn(self._transport, self._turns)
                self.stream = trio.SSLStream(in_turn, tls, server_side=True, https_compatible=True)
                await shake_hands(self.stream)
        except (OSError, *GONE):
            return False
        if waiting.cancelled_caught:
            return False
        self.stream.transport_stream = self._transport
        return True

    async def _serve(self) -> None:
        sock = self._transport.socket
        addresses = [
            parse_socket_addr(sock.family, name)
            for name in (sock.getpeername(), sock.getsockname())
        ]
        async with Tasks() as tasks:
            self._task_group = tasks
            ends = (self._tls is not None, *addresses, self.protocol_send)
            self.protocol: Any = Http1(
                self.app, self.config, self.context, tasks, self._visit, *ends
            )
            await self.idle_task.restart(tasks, self._idle_timeout)
            await self._read_data()

    async def protocol_send(self, event: Event) -> None:
        """Send bytes of Hypercorn. Shielded, since more bytes may follow a part that was cut."""
        if isinstance(event, Updated):
            self._asked_once = True
            if event.idle:
                self._visit.rest()
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                await self._send(event.data)
            except GONE:
                await self.protocol.handle(Closed())

    async def _send(self, data: bytes) -> None:
        with self._outgoing.sending(len(data), self._visit.end) as taken:
            for start in range(0, len(data), PART_BYTES):
                with trio.move_on_after(TAKEN_S, shield=True) as waiting:
                    await self.stream.send_all(data[start : start + PART_BYTES])
                if waiting.cancelled_caught:
                    self._visit.end()
                    raise trio.ClosedResourceError
                taken()

    async def _close(self) -> None:
        """Close the stream, over TLS with a close_notify that may take `CLOSE_S`."""
        with trio.move_on_after(CLOSE_S, shield=True), suppress(trio.BusyResourceError):
            await self.stream.aclose()
        self._visit.end()

    async def _initiate_server_close(self) -> None:
        await self.protocol.handle(Closed())
        await self._close()

    async def _read_data(self) -> None:
        while (data := await self._read()) is not None:
            await self.protocol.handle(RawData(data))
            if not data:
                break
        await self.protocol.handle(Closed())
        self._is_over = True
        await self.idle_task.stop()

    async def _read(self) -> bytes | None:
        """Return received bytes, in a turn of the loop that has few others; empty at the end, None
        from a broken connection."""
        try:
            data = await self.stream.receive_some(READ_BYTES)
        except GONE:
            return None
        async with self._turns:
            await trio.lowlevel.checkpoint()
        return bytes(data)

    async def _idle_timeout(self) -> None:
        """Close a connection that is silent for too long, or that has nothing to do at the end."""
        if self._is_over:
            return
        limit_s = self.config.keep_alive_timeout if self._asked_once else READ_S
        with trio.move_on_after(limit_s):
            await self.context.terminated.wait()
        with trio.CancelScope(shield=True):
            await self._initiate_server_close()


def make_config(keepalive_s: float = KEEPALIVE_S) -> Config:
    """Return the events for Hypercorn."""
    config = Config()
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.read_timeout = None
    config.keep_alive_timeout = keepalive_s
    config.max_app_queue_size = QUEUE_MAX
    config.websocket_max_message_size = MESSAGE_MAX_BYTES
    config.websocket_ping_interval = 1.0  # any: a `WebSocketStream` has its own
    return config
