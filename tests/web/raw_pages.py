"""The HTTP port, spoken to in bytes."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
import trio.lowlevel

from audio_server.web.connections import serve_connections

KEY = base64.b64encode(bytes(16)).decode()
UPGRADE = (
    "GET {path} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    "sec-websocket-key: {key}\r\nsec-websocket-version: 13\r\n{more}\r\n"
)


def upgrade(path: str = "/echo", more: str = "", key: str = KEY) -> bytes:
    """A request for a WebSocket."""
    return UPGRADE.format(path=path, more=more, key=key).encode("latin-1")


def frame(payload: bytes, op: int = 1, *, fin: bool = True, rsv: int = 0) -> bytes:
    """A frame of a client, masked with zeros."""
    size = len(payload)
    head = bytes([fin << 7 | rsv << 4 | op])
    if size < 126:
        return head + bytes([0x80 | size]) + bytes(4) + payload
    if size < 65536:
        return head + b"\xfe" + struct.pack(">H", size) + bytes(4) + payload
    return head + b"\xff" + struct.pack(">Q", size) + bytes(4) + payload


def deflated(data: bytes) -> bytes:
    """As permessage-deflate has it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Raw:
    """Pages that are served at an address."""

    def __init__(self, address: Any) -> None:
        self.address = address

    async def connect(self) -> trio.SocketStream:
        """A connection."""
        return await trio.open_tcp_stream(*self.address)

    async def exchange(
        self, *parts: bytes, closes: bool = True, until: bytes = b"\0none\0", within_s: float = 30
    ) -> bytes:
        """All that is answered to some bytes, until the server closes or has said `until`."""
        answer = b""
        async with await self.connect() as stream:
            with suppress(trio.BrokenResourceError):
                for part in parts:
                    await stream.send_all(part)
                    await trio.lowlevel.checkpoint()
                if closes:
                    await stream.send_eof()
            with suppress(trio.BrokenResourceError), trio.move_on_after(within_s) as waiting:
                while until not in answer and (part := await stream.receive_some()):
                    answer += part
            assert within_s < 1 or not waiting.cancelled_caught, answer
        return answer


@asynccontextmanager
async def raw_pages(app: Any) -> AsyncIterator[Raw]:
    """Serve an application for as long as the block."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connections, app, [listener], over)
        yield Raw(listener.socket.getsockname())
        over.set()
