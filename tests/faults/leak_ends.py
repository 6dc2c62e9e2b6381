"""The ways in which a device's connection comes to its end, each from the device's side."""

from __future__ import annotations

import socket
import struct

import trio
from http2_frames import frame

from benchmarks.frames import AUDIO, EVENTS, PRESSES, STATUS, Button, Kind


async def hear(stream: trio.SocketStream, size: int) -> None:
    """Read that much, at least."""
    with trio.fail_after(30):
        while size > 0:
            data = await stream.receive_some(65536)
            assert data
            size -= len(data)


async def listen(stream: trio.SocketStream) -> None:
    """Read until the server has closed."""
    with trio.fail_after(30):
        while await stream.receive_some(65536):
            pass


async def close(stream: trio.SocketStream) -> None:
    """A device is switched off: three resets, then FIN."""
    for call in (STATUS, EVENTS, AUDIO):
        await stream.send_all(frame(Kind.RST_STREAM, 0, call, b"\0\0\0\x08"))


async def say_goodbye(stream: trio.SocketStream) -> None:
    """The client says that it goes, ends its calls, and waits."""
    await stream.send_all(frame(Kind.GOAWAY, 0, 0, bytes(8)))
    for call in (STATUS, EVENTS):
        await stream.send_all(frame(Kind.DATA, 1, call))
    await stream.send_all(frame(Kind.RST_STREAM, 0, AUDIO, b"\0\0\0\x08"))
    await listen(stream)


async def reset(stream: trio.SocketStream) -> None:
    """RST, with all calls open."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def vanish_in_a_message(stream: trio.SocketStream) -> None:
    """FIN in the middle of a message."""
    await stream.send_all(frame(Kind.DATA, 0, EVENTS, b"\0\0\0\0\x04\x0a"))


async def vanish_in_a_frame(stream: trio.SocketStream) -> None:
    """FIN in the middle of a frame."""
    await stream.send_all(PRESSES[Button.PLAY][:-2])


async def end_in_a_message(stream: trio.SocketStream) -> None:
    """A call ends inside a message, the connection lives on for a while."""
    await stream.send_all(frame(Kind.DATA, 1, EVENTS, b"\0\0\0"))
    await hear(stream, 100)


async def send_nonsense(stream: trio.SocketStream) -> None:
    """A message that cannot be decoded."""
    await stream.send_all(frame(Kind.DATA, 0, EVENTS, b"\0\0\0\0\x02\xff\xff"))
    await hear(stream, 100)


async def break_the_protocol(stream: trio.SocketStream) -> None:
    """A frame on stream 0 that has no business there."""
    await stream.send_all(frame(Kind.DATA, 0, 0, b"x"))
    await listen(stream)


async def break_compression(stream: trio.SocketStream) -> None:
    """A header block that names what is not in the table."""
    await stream.send_all(frame(Kind.HEADERS, 4, 7, b"\xff\xff\xff\x0f"))
    await listen(stream)


async def go_on(stream: trio.SocketStream) -> None:
    """Play on, until somebody else has ended it."""
    await hear(stream, 200)


ENDS = [
    close,
    say_goodbye,
    reset,
    vanish_in_a_message,
    vanish_in_a_frame,
    end_in_a_message,
    send_nonsense,
    break_the_protocol,
    break_compression,
    go_on,
]
