"""HTTP/1.1 of one connection: Hypercorn's, made safe against any bytes of a peer.

A fault of a peer is answered in one line or ends its connection; it raises no error. No client gets
HTTP/2 here: it has no bound on the memory for a client that does not read.
"""

from __future__ import annotations

from typing import Any, Final

import h11
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol.events import EndBody, Request
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import AppWrapper, ConnectionState, TaskGroup, WorkerContext
from starlette.requests import ClientDisconnect

from audio_server.web.visit import STATE_KEY, Visit
from audio_server.web.websocket import EXTENSIONS, WebSocketStream, is_sound

VERSIONS: Final = (b"1.0", b"1.1")

WORDING: Final = {
    400: "the request is not valid HTTP/1.1",
    413: "the request is too large",
    414: "the address that is asked for is too long",
    431: "the headers of the request are too large",
    501: "the request has a transfer-encoding other than chunked",
    505: "this server speaks HTTP/1.1",
}
"""Texts by status; a library's own text is for the log at most."""

ANSWERING: Final = (h11.SEND_BODY, h11.DONE, h11.MUST_CLOSE)
"""States of our side in which the end of the answer closes a connection whose peer has erred."""


class HttpStream(HTTPStream):
    """A request, which tells its connection's `visit` when it has come whole."""

    visit: Visit

    async def handle(self, event: StreamEvent) -> None:
        """As Hypercorn's."""
        if isinstance(event, EndBody):
            self.visit.complete()
        await super().handle(event)

    async def app_send(self, message: Any) -> None:
        """As Hypercorn's, but raises `ClientDisconnect` for an answer without a reader: one without
        an end would go on."""
        if self.closed and message is not None:
            raise ClientDisconnect
        await super().app_send(message)


class TidyConnection(h11.Connection):
    """One that leaves nothing of a peer's error behind: h11's refers to itself by the frames in
    which it was raised."""

    def next_event(self) -> Any:
        """As h11's; a body that breaks while its request is answered lets the answer end."""
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            if self.our_state in ANSWERING:
                return h11.NEED_DATA
            raise error.with_traceback(None) from None


class Http1(H11Protocol):
    """Serves the requests of a connection, one after the other, to an application."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        task_group: TaskGroup,
        visit: Visit,
        *addresses_and_send: Any,
    ) -> None:
        state = ConnectionState({STATE_KEY: visit})
        super().__init__(app, config, context, task_group, state, *addresses_and_send)
        self.connection = TidyConnection(h11.SERVER, config.h11_max_incomplete_size)
        self._visit = visit
        self._method = b""

    async def handle(self, event: Any) -> None:
        """Take received bytes. Bytes behind the end of the connection are dropped."""
        if isinstance(event, RawData) and self.connection.their_state is h11.ERROR:
            return
        await super().handle(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Replaces Hypercorn's change to HTTP/2."""

    async def _create_stream(self, request: h11.Request) -> None:
        self._visit.begin()
        self._method = request.method
        if request.http_version not in VERSIONS:
            await self._refuse(505)
        elif not _is_upgrade(request):
            await self._begin(HttpStream, request)
        elif is_sound(request) and isinstance(self.connection, h11.Connection):
            self._visit.complete()
            self.connection = H11WSConnection(self.connection)
            await self._begin(WebSocketStream, request)
        else:
            await self._refuse(400)

    async def _begin(self, kind: type[HttpStream | WebSocketStream], request: h11.Request) -> None:
        self.stream = stream = kind(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        stream.visit = self._visit
        head = Request(
            stream_id=STREAM_ID,
            headers=[pair for pair in request.headers if pair[0] != EXTENSIONS],
            http_version=request.http_version.decode("ascii"),
            method=request.method.decode("ascii"),  # as it came: "head" is not HEAD to h11
            raw_path=request.target,
            state=self.connection_state,
        )
        await stream.handle(head)
        self.keep_alive_requests += 1

    async def _refuse(self, status: int) -> None:
        await self._send_error_response(status)
        await self.send(Closed())

    async def _send_error_response(self, status_code: int) -> None:
        """Answer bytes that never became a whole request, in one line of our own.

        The application's part ends first: an answer of its own would close the connection.
        """
        await self._close_stream()
        text = f"{WORDING.get(status_code, WORDING[400])}\n".encode()
        headers = [
            (b"content-length", b"%d" % len(text)),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        if self._method != b"HEAD":
            await self._send_h11_event(h11.Data(data=text))
        await self._send_h11_event(h11.EndOfMessage())


def _is_upgrade(request: h11.Request) -> bool:
    """Whether a WebSocket is asked for. An `Upgrade` that `Connection` does not name is ignored."""
    is_named = b"upgrade" in _values(request, b"connection")
    is_websocket = b"websocket" in _values(request, b"upgrade")
    return is_named and is_websocket and request.method == b"GET"


def _values(request: h11.Request, name: bytes) -> list[bytes]:
    values = b",".join(value for key, value in request.headers if key == name)
    return [value.strip().lower() for value in values.split(b",")]
