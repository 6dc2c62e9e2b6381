"""A WebSocket of a page: Hypercorn's, with bounds on the work that a peer can cause.

No extension is agreed on. With permessage-deflate a megabyte is unpacked to a gigabyte before its
size is checked, and messages here are small. A peer that answers no ping is gone.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import h11
import trio
from hypercorn.protocol.events import Body, Data, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.events import Event as WebSocketEvent
from wsproto.frame_protocol import CloseReason

from audio_server.rpc.rate_limit import Rate, TokenBucket
from audio_server.web.visit import Visit

PING_S: Final = 20.0
ANSWER_S: Final = 10.0
"""A peer that has sent nothing for so long after a ping is gone: as on the gRPC port."""

FRAMES: Final[Rate] = (500, 100)
"""Frames that a peer may send: a page sends one for a press, and none else but answers to pings.
An empty one costs six bytes to send, and the loop a hundred times as much as they do."""

KEY_BYTES: Final = 16

EXTENSIONS: Final = b"sec-websocket-extensions"
"""The header that is dropped: Hypercorn would agree to its extensions."""


class WebSocketStream(WSStream):
    """A WebSocket, from the request for it to its end.

    Bytes that a peer sends before it was accepted wait in the socket until then.
    """

    visit: Visit

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        now = trio.current_time()
        self._decided, self._ended = trio.Event(), trio.Event()
        self._frames = TokenBucket(FRAMES, now)
        self._heard_at = now

    async def handle(self, event: StreamEvent) -> None:
        """As Hypercorn's."""
        if isinstance(event, Body | Data):
            await self._decided.wait()
            self._heard_at = trio.current_time()
            if not self.handshake.accepted:
                return
        elif isinstance(event, StreamClosed):
            self._decided.set()
            self._ended.set()
            self.break_cycle()
        await super().handle(event)

    def break_cycle(self) -> None:
        """Let go of the parser when no more bytes will be parsed: wsproto's is a generator, which
        refers to the object that has it."""
        frames: Any = getattr(getattr(self, "connection", None), "_proto", None)
        if frames is not None:
            frames._parse_more = iter(())

    async def app_send(self, message: Any) -> None:
        """As Hypercorn's."""
        try:
            await super().app_send(message)
        finally:
            self._decided.set()

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if self.closed:
                return
            if not self._frames.take(trio.current_time()):
                await self._give_up(CloseReason.POLICY_VIOLATION)
                return
            await self._take(event)

    async def _take(self, event: WebSocketEvent) -> None:
        match event:
            case Message():
                await self._take_part(event)
            case Ping():
                await self._send_wsproto_event(event.response())
            case CloseConnection() if self.connection.state is ConnectionState.REMOTE_CLOSING:
                await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))
            case CloseConnection(code=code):  # also for bytes that are no WebSocket frame
                await self._give_up(code)

    async def _take_part(self, part: Message[Any]) -> None:
        try:
            self.buffer.extend(part)
        except FrameTooLargeError:
            await self._give_up(CloseReason.MESSAGE_TOO_BIG)
            return
        if part.message_finished:
            message = self.buffer.to_message()
            self.buffer.clear()
            if self.app_put is not None:
                await self.app_put(message)

    async def _give_up(self, code: int) -> None:
        """Say why and close; the application learns that the peer is gone."""
        await self._send_wsproto_event(CloseConnection(code=code))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_pings(self) -> None:
        while not await self._is_over_within(PING_S):
            asked_at = trio.current_time()
            await self._send_wsproto_event(Ping())
            if not await self._is_over_within(ANSWER_S) and self._heard_at < asked_at:
                await self._give_up(CloseReason.GOING_AWAY)

    async def _is_over_within(self, limit_s: float) -> bool:
        """Wait for so long, but not after the end: the connection would stay for as long."""
        with trio.move_on_after(limit_s):
            await self._ended.wait()
        return self._ended.is_set()


def is_sound(request: h11.Request) -> bool:
    """Whether a request for a WebSocket is as RFC 6455 wants it, and has no body.

    Of a header that is there twice the last one counts, as Hypercorn has it.
    """
    headers = dict(request.headers)
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    is_ascii = all(headers.get(name, b"").isascii() for name in _READ)
    tokens = [token.strip().lower() for token in headers.get(b"connection", b"").split(b",")]
    is_asked = b"upgrade" in tokens and headers.get(b"upgrade", b"").lower() == b"websocket"
    is_right = headers.get(b"sec-websocket-version") == b"13" and request.http_version == b"1.1"
    is_good = is_right and is_asked and is_ascii and not has_body
    return is_good and _is_key(headers.get(b"sec-websocket-key"))


_READ: Final = (b"connection", b"upgrade", b"sec-websocket-protocol")


def _is_key(value: bytes | None) -> bool:
    try:
        return len(base64.b64decode(value or b"", validate=True)) == KEY_BYTES
    except ValueError:
        return False
