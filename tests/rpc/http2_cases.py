"""What h2spec sends, as functions of a raw peer, by section of RFC 9113."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from http2_frames import frame
from hyperframe.frame import (
    ContinuationFrame,
    HeadersFrame,
    PriorityFrame,
)
from raw_peer import RawPeer, request_headers

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 1, 3, 5, 6
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11

Case = Callable[[RawPeer], Awaitable[None]]


def raw(*parts: bytes) -> Case:
    async def send(peer: RawPeer) -> None:
        await peer.raw(b"".join(parts))

    return send


def on_open(*parts: bytes, end: bool = False) -> Case:
    """The parts after a request on stream 1."""

    async def send(peer: RawPeer) -> None:
        request = peer.headers_frame(1, request_headers(), end=end).serialize()
        await peer.raw(request + b"".join(parts))

    return send


def block(*fields: tuple[str, str]) -> Case:
    async def send(peer: RawPeer) -> None:
        await peer.send(peer.headers_frame(1, fields, end=True))

    return send


async def headers_then_other(peer: RawPeer) -> None:
    data = peer.encoder.encode(request_headers())
    await peer.send(HeadersFrame(1, data=data[:5]), PriorityFrame(1, depends_on=3))


async def headers_then_other_stream(peer: RawPeer) -> None:
    data = peer.encoder.encode(request_headers())
    await peer.send(HeadersFrame(1, data=data[:5]), ContinuationFrame(3, data=data[5:]))


async def headers_then_unknown(peer: RawPeer) -> None:
    await peer.send(HeadersFrame(1, data=peer.encoder.encode(request_headers())[:5]))
    await peer.raw(frame(0xFA, 0, 1, b""))


async def continuation_after_end(peer: RawPeer) -> None:
    await peer.open(1)
    await peer.send(ContinuationFrame(1, data=b"", flags=["END_HEADERS"]))


async def lower_stream(peer: RawPeer) -> None:
    await peer.open(5)
    await peer.open(3)


async def even_stream(peer: RawPeer) -> None:
    await peer.open(2)


async def headers_on_ended(peer: RawPeer) -> None:
    await peer.open(1, end=True)
    await peer.status(1)
    await peer.open(1, end=True)


async def data_on_ended(peer: RawPeer) -> None:
    await peer.open(1, end=True)
    await peer.status(1)
    await peer.give(1, b"x")


async def window_settings_overflow(peer: RawPeer) -> None:
    await peer.open(1)
    await peer.widen(1, 100)
    await peer.settings({4: 2**31 - 1})


CONNECTION_ERRORS: dict[str, tuple[int, Case]] = {
    "4.2 a frame larger than SETTINGS_MAX_FRAME_SIZE": (
        FRAME_SIZE_ERROR,
        on_open(frame(0, 0, 1, b"x" * 16385)),
    ),
    "4.2 a large header block": (FRAME_SIZE_ERROR, raw(frame(1, 4, 1, b"x" * 16385))),
    "4.3 a header block that cannot be decoded": (
        COMPRESSION_ERROR,
        raw(frame(1, 5, 1, b"\xff\xff\xff\xff")),
    ),
    "4.3 PRIORITY inside a header block": (PROTOCOL_ERROR, headers_then_other),
    "4.3 another stream inside a header block": (PROTOCOL_ERROR, headers_then_other_stream),
    "5.5 an unknown frame inside a header block": (PROTOCOL_ERROR, headers_then_unknown),
    "5.1 idle: DATA": (PROTOCOL_ERROR, raw(frame(0, 0, 1, b"x"))),
    "5.1 idle: RST_STREAM": (PROTOCOL_ERROR, raw(frame(3, 0, 1, b"\0\0\0\x08"))),
    "5.1 idle: WINDOW_UPDATE": (PROTOCOL_ERROR, raw(frame(8, 0, 1, b"\0\0\0\x01"))),
    "5.1 idle: CONTINUATION": (PROTOCOL_ERROR, raw(frame(9, 4, 1, b""))),
    "5.1 closed by END_STREAM: DATA": (STREAM_CLOSED, data_on_ended),
    "5.1 closed by END_STREAM: HEADERS": (STREAM_CLOSED, headers_on_ended),
    "5.1.1 an even stream": (PROTOCOL_ERROR, even_stream),
    "5.1.1 a lower stream": (PROTOCOL_ERROR, lower_stream),
    "6.1 DATA on stream 0": (PROTOCOL_ERROR, raw(frame(0, 0, 0, b"x"))),
    "6.1 padding longer than DATA": (PROTOCOL_ERROR, on_open(frame(0, 8, 1, b"\x06xxxxx"))),
    "6.2 HEADERS on stream 0": (PROTOCOL_ERROR, raw(frame(1, 5, 0, b"\x82"))),
    "6.2 padding longer than HEADERS": (PROTOCOL_ERROR, raw(frame(1, 0xD, 1, b"\x06\x82"))),
    "6.3 PRIORITY on stream 0": (PROTOCOL_ERROR, raw(frame(2, 0, 0, b"\0\0\0\x01\x10"))),
    "6.3 PRIORITY of 4 bytes": (FRAME_SIZE_ERROR, raw(frame(2, 0, 1, b"\0\0\0\x01"))),
    "6.4 RST_STREAM on stream 0": (PROTOCOL_ERROR, raw(frame(3, 0, 0, b"\0\0\0\x08"))),
    "6.4 RST_STREAM of 3 bytes": (FRAME_SIZE_ERROR, on_open(frame(3, 0, 1, b"\0\0\x08"))),
    "6.5 SETTINGS on a stream": (PROTOCOL_ERROR, raw(frame(4, 0, 1, b""))),
    "6.5 an acknowledgement with values": (
        FRAME_SIZE_ERROR,
        raw(frame(4, 1, 0, b"\0\x03\0\0\0\x64")),
    ),
    "6.5 SETTINGS of 3 bytes": (FRAME_SIZE_ERROR, raw(frame(4, 0, 0, b"\0\x03\0"))),
    "6.5.2 ENABLE_PUSH 2": (PROTOCOL_ERROR, raw(frame(4, 0, 0, b"\0\x02\0\0\0\x02"))),
    "6.5.2 INITIAL_WINDOW_SIZE past its maximum": (
        FLOW_CONTROL_ERROR,
        raw(frame(4, 0, 0, b"\0\x04\x80\0\0\0")),
    ),
    "6.5.2 MAX_FRAME_SIZE below its minimum": (
        PROTOCOL_ERROR,
        raw(frame(4, 0, 0, b"\0\x05\0\0\x3f\xff")),
    ),
    "6.5.2 MAX_FRAME_SIZE past its maximum": (
        PROTOCOL_ERROR,
        raw(frame(4, 0, 0, b"\0\x05\x01\0\0\0")),
    ),
    "6.6 PUSH_PROMISE from a client": (
        PROTOCOL_ERROR,
        on_open(frame(5, 4, 1, b"\0\0\0\x02\x82")),
    ),
    "6.7 PING on a stream": (PROTOCOL_ERROR, raw(frame(6, 0, 1, b"x" * 8))),
    "6.7 PING of 6 bytes": (FRAME_SIZE_ERROR, raw(frame(6, 0, 0, b"x" * 6))),
    "6.8 GOAWAY on a stream": (PROTOCOL_ERROR, raw(frame(7, 0, 1, b"\0" * 8))),
    "6.8 GOAWAY of 4 bytes": (FRAME_SIZE_ERROR, raw(frame(7, 0, 0, b"\0" * 4))),
    "6.9 WINDOW_UPDATE of 0 on the connection": (
        PROTOCOL_ERROR,
        raw(frame(8, 0, 0, b"\0\0\0\0")),
    ),
    "6.9 WINDOW_UPDATE of 3 bytes": (FRAME_SIZE_ERROR, raw(frame(8, 0, 0, b"\0\0\x01"))),
    "6.9.1 the connection's window past its maximum": (
        FLOW_CONTROL_ERROR,
        raw(frame(8, 0, 0, b"\x7f\xff\xff\xff")),
    ),
    "6.9.2 SETTINGS that overflow a stream's window": (
        FLOW_CONTROL_ERROR,
        window_settings_overflow,
    ),
    "6.10 CONTINUATION after END_HEADERS": (PROTOCOL_ERROR, continuation_after_end),
    "HPACK 2.3.3 an index of no entry": (COMPRESSION_ERROR, raw(frame(1, 5, 1, b"\xc6"))),
    "HPACK 4.2 a table larger than allowed": (
        COMPRESSION_ERROR,
        raw(frame(1, 5, 1, b"\x3f\xe2\x1f\x82")),
    ),
    "HPACK 4.2 a table update at the end": (
        COMPRESSION_ERROR,
        raw(frame(1, 5, 1, b"\x82\x86\x84\x20")),
    ),
    "HPACK 5.2 a string that is no Huffman code": (
        COMPRESSION_ERROR,
        raw(frame(1, 5, 1, b"\x82\x86\x84\x00\x83\xff\xff\xff\x01x")),
    ),
    "HPACK 6.1 index 0": (COMPRESSION_ERROR, raw(frame(1, 5, 1, b"\x80"))),
    "HPACK a string that is cut off": (COMPRESSION_ERROR, raw(frame(1, 5, 1, b"\x82\x00\x0aab"))),
}


GOOD = request_headers()

STREAM_ERRORS: dict[str, tuple[int, Case]] = {
    "5.1 half-closed: DATA": (STREAM_CLOSED, on_open(frame(0, 0, 1, b"x"), end=True)),
    "6.9 WINDOW_UPDATE past the maximum": (
        FLOW_CONTROL_ERROR,
        on_open(frame(8, 0, 1, b"\x7f\xff\xff\xff")),
    ),
    "8.1 trailers without an end": (PROTOCOL_ERROR, on_open(frame(1, 4, 1, b"\x00\x01a\x01b"))),
    "8.2.1 an uppercase name": (PROTOCOL_ERROR, block(*GOOD, ("X-A", "b"))),
    "8.2.2 connection": (PROTOCOL_ERROR, block(*GOOD, ("connection", "keep-alive"))),
    "8.2.2 upgrade": (PROTOCOL_ERROR, block(*GOOD, ("upgrade", "h2c"))),
    "8.3 an unknown pseudo-header": (PROTOCOL_ERROR, block((":test", "x"), *GOOD)),
    "8.3 a response's pseudo-header": (PROTOCOL_ERROR, block((":status", "200"), *GOOD)),
    "8.3 a pseudo-header after others": (PROTOCOL_ERROR, block(*GOOD[1:], GOOD[0])),
    "8.3.1 an empty :path": (PROTOCOL_ERROR, block(*request_headers(_path=""))),
    "8.3.1 no :method": (PROTOCOL_ERROR, block(*request_headers(_method=None))),
    "8.3.1 no :scheme": (PROTOCOL_ERROR, block(*request_headers(_scheme=None))),
    "8.3.1 no :path": (PROTOCOL_ERROR, block(*request_headers(_path=None))),
    "8.3.1 two :method": (PROTOCOL_ERROR, block(GOOD[0], *GOOD)),
}


async def half_closed_window_update(peer: RawPeer) -> None:
    await peer.open(1, end=True)
    await peer.widen(1, 1)


async def priority_everywhere(peer: RawPeer) -> None:
    await peer.send(PriorityFrame(1, depends_on=0, stream_weight=10))
    await peer.open(1, end=True)
    await peer.send(PriorityFrame(1, depends_on=3), PriorityFrame(99, depends_on=1))
    await peer.status(1)
    await peer.send(PriorityFrame(1, depends_on=3))


async def late_for_closed(peer: RawPeer) -> None:
    await peer.open(1, end=True)
    await peer.status(1)
    await peer.widen(1, 1)
    await peer.reset(1)


async def padded_with_priority(peer: RawPeer) -> None:
    data = peer.encoder.encode(GOOD)
    flags = ["PADDED", "PRIORITY", "END_HEADERS", "END_STREAM"]
    headers = HeadersFrame(1, data=data, flags=flags)
    headers.pad_length = 20
    headers.depends_on = 0
    headers.stream_weight = 5
    await peer.send(headers)


async def in_pieces(peer: RawPeer) -> None:
    data = peer.encoder.encode(GOOD)
    await peer.send(
        HeadersFrame(1, data=data[:1], flags=["END_STREAM"]),
        ContinuationFrame(1, data=data[1:3]),
        ContinuationFrame(1, data=b""),
        ContinuationFrame(1, data=data[3:], flags=["END_HEADERS"]),
    )


async def table_of_no_size(peer: RawPeer) -> None:
    peer.encoder.header_table_size = 0
    await peer.open(1, end=True)


FINE: dict[str, Case] = {
    "4.1 the reserved bit of a stream id": raw(frame(6, 0, 0x80000000, b"x" * 8)),
    "4.1 flags nobody knows": raw(frame(6, 0xFE, 0, b"x" * 8)),
    "4.2 the largest frame": on_open(frame(0, 0, 1, b"\0\0\0\x40\0"), frame(0, 0, 1, b"x" * 16384)),
    "5.1 half-closed: WINDOW_UPDATE": half_closed_window_update,
    "5.5 unknown frames": raw(frame(0xFA, 0xFF, 0, b"x" * 100), frame(0xFB, 0, 77, b"")),
    "6.2 padding and priority": padded_with_priority,
    "6.5.2 unknown settings": raw(frame(4, 0, 0, b"\x12\x34\xff\xff\xff\xff")),
    "6.5.2 the same setting twice": raw(frame(4, 0, 0, b"\0\x04\0\0\0\0\0\x04\0\0\xff\xff")),
    "6.10 CONTINUATION": in_pieces,
    "7 an unknown error code in RST_STREAM": on_open(frame(3, 0, 1, b"\0\0\xff\xff")),
    "8.1 trailers": on_open(frame(1, 5, 1, b"\x00\x01a\x01b")),
    "HPACK 4.2 a table of size 0": table_of_no_size,
}


FINE_AFTER_THE_END: dict[str, Case] = {
    "5.1 closed: WINDOW_UPDATE, RST_STREAM": late_for_closed,
    "5.3 PRIORITY on any stream": priority_everywhere,
}
