"""The state of an ordinary client is the one that h2 would have, at any time."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from h2.errors import ErrorCodes
from hpack import Decoder, Encoder, NeverIndexedHeaderTuple
from hpack.exceptions import HPACKError
from http2_frames import PREFACE, frame
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw_peer import request_headers
from strict_peer import (
    DATA,
    FRAME_BYTES,
    HEADERS,
    INITIAL_WINDOW,
    LIST_BYTES,
    PING,
    PRIORITY,
    PUSH,
    RST_STREAM,
    SETTINGS,
    TABLE,
    WINDOW,
)

from audio_server.rpc.errors import PeerError
from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import FrameReader
from audio_server.rpc.http2.header_decoder import DynamicTable
from audio_server.rpc.http2.ordinary import OrdinaryConnection
from audio_server.rpc.limits import Limits

LIMITS = Limits()
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1

WITHOUT_EFFECT = {
    "RemoteSettingsChanged",
    "SettingsAcknowledged",
    "PingReceived",
    "PingAckReceived",
}
"""Events of a connection that dispatch ignores, or that concern no call yet."""

Act = Callable[["End"], None]


class End:
    """Ours, as an ordinary connection or on h2 from the start."""

    def __init__(self, *, on_h2: bool) -> None:
        self.http2 = ConnectionState(LIMITS, client_side=False)
        assert isinstance(self.http2._core, OrdinaryConnection)
        if on_h2:
            self.harden()
        self._reader = FrameReader(LIMITS, client_side=False)
        self._reader.add(PREFACE)
        self.encoder = Encoder()
        self.seen: list[object] = []

    def harden(self) -> Any:
        """Have h2's state made now."""
        return self.http2._h2

    def take(self, wire: bytes) -> None:
        """Take bytes of the client, as a connection does."""
        self._reader.add(wire)
        while (whole := self._reader.next()) is not None:
            if whole.type == DATA and (data := self.http2.take_data(whole)) is not None:
                self.seen.append(("data", whole.stream_id, data))
            elif whole.type == WINDOW and self.http2.take_window(whole):
                self.seen.append(("window", whole.stream_id))
            else:
                events = self.http2.receive(whole)
                self.seen += [_essence(e) for e in events if type(e).__name__ not in WITHOUT_EFFECT]

    def sent(self) -> list[object]:
        """Return the frames that wait to be sent, with their headers decoded."""
        data, frames = bytes(self.http2.out), []
        decoder = Decoder()
        while data:
            size, kind = int.from_bytes(data[:3], "big"), data[3]
            body: Any = data[9 : 9 + size]
            if kind == HEADERS:
                body = [(bytes(n), bytes(v)) for n, v in decoder.decode(body, raw=True)]
            frames.append((kind, data[4], data[5:9], body))
            data = data[9 + size :]
        return frames


def _essence(event: Any) -> object:
    name = type(event).__name__
    if name == "RequestReceived":
        return name, event.stream_id, [tuple(map(bytes, field)) for field in event.headers]
    if name == "DataReceived":
        return name, event.stream_id, event.data, event.flow_controlled_length
    if name == "StreamReset":
        return name, event.stream_id, event.error_code, event.remote_reset
    return name, getattr(event, "stream_id", None)


def _state(h2: Any) -> object:
    """Return all of h2's state that a frame may find."""
    h2.open_inbound_streams  # noqa: B018  it forgets the streams that have ended
    table, own = h2.decoder.header_table, h2._inbound_flow_control_window_manager
    return (
        {stream_id: _stream_state(stream) for stream_id, stream in h2.streams.items()},
        dict(h2._closed_streams),
        h2.highest_inbound_stream_id,
        dict(h2.remote_settings),
        dict(h2.local_settings),
        h2.state_machine.state,
        list(table.dynamic_entries),
        table._current_size,
        h2.outbound_flow_control_window,
        h2.max_outbound_frame_size,
        vars(own),
        (h2.encoder._announced, h2.encoder._smallest, h2.encoder._is_due),
    )


def _stream_state(stream: Any) -> object:
    return (
        vars(stream.state_machine),
        stream.outbound_flow_control_window,
        stream.max_outbound_frame_size,
        vars(stream._inbound_window_manager),
    )


def settings_frame(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def gives(wire: bytes) -> Act:
    return lambda end: end.take(wire)


def calls(stream_id: int, device_id: str, flags: int, huffman: bool) -> Act:
    def act(end: End) -> None:
        headers: Any = [*request_headers(), ("device_id", device_id)]
        headers.append(NeverIndexedHeaderTuple("authorization", "Bearer " + device_id))
        block = end.encoder.encode(headers, huffman)
        end.take(frame(HEADERS, flags, stream_id, block))

    return act


def acts_on(name: str, *args: Any) -> Act:
    def act(end: End) -> None:
        if end.http2.is_open(args[0]):
            getattr(end.http2, name)(*args)

    return act


def accepts(stream_id: int) -> Act:
    def act(end: End) -> None:
        if ("accepted", stream_id) not in end.seen:
            end.seen.append(("accepted", stream_id))
            end.http2.accept(stream_id)

    return act


def ends(stream_id: int, message: str) -> Act:
    def act(end: End) -> None:
        if ("ended", stream_id) not in end.seen and end.http2.is_open(stream_id):
            end.seen += [("ended", stream_id), ("accepted", stream_id)]
            trailers = [(":status", "200"), ("grpc-status", "14"), ("grpc-message", message)]
            end.http2.send_headers(stream_id, trailers, end_stream=True)

    return act


streams = st.sampled_from([1, 1, 3, 3, 5, 7])
sizes = st.integers(0, 300) | st.sampled_from([16384])
settings_of = st.sampled_from(
    [
        [],
        [(INITIAL_WINDOW, 2**31 - 1)],
        [(PUSH, 0), (3, 0), (LIST_BYTES, 16384), (0xFE03, 1)],
        [(FRAME_BYTES, 20_000), (INITIAL_WINDOW, 0)],
        [(INITIAL_WINDOW, 7), (INITIAL_WINDOW, 70_000)],
        [(TABLE, 0)],
        [(TABLE, 4096), (LIST_BYTES, 60)],
        [(TABLE, 65536)],
    ]
)
acts = st.one_of(
    st.builds(
        calls,
        st.sampled_from([1, 3, 5, 7, 9, 9, 11, 2]),
        st.sampled_from(["a", "dev-1", "x" * 64, "ü"]),
        st.sampled_from([END_HEADERS] * 4 + [END_HEADERS | END_STREAM]),
        st.booleans(),
    ),
    st.builds(lambda s, n, f: gives(frame(DATA, f, s, bytes(n))), streams, sizes,
              st.integers(0, 1)),
    st.builds(lambda s, c: gives(frame(RST_STREAM, 0, s, struct.pack(">I", c))), streams,
              st.sampled_from([0, 8, 99])),
    st.builds(lambda s, n: gives(frame(WINDOW, 0, s, struct.pack(">I", n))), st.just(0) | streams,
              st.sampled_from([0, 1, 1000, 2**31 - 1])),
    st.builds(lambda f: gives(frame(PING, f, 0, b"12345678")), st.integers(0, 1)),
    st.just(gives(frame(SETTINGS, ACK, 0, b""))),
    st.builds(lambda pairs: gives(settings_frame(*pairs)), settings_of),
    st.builds(lambda s: gives(frame(PRIORITY, 0, s, b"\0\0\0\0\1")), streams),
    st.builds(accepts, streams),
    st.builds(ends, streams, st.sampled_from(["bye", "m" * 200])),
    st.builds(lambda s, n: acts_on("consumed", s, n), streams, st.sampled_from([1, 40_000])),
    st.builds(lambda s, n: acts_on("ensure_window", s, n), streams, st.integers(1, 70_000)),
    st.builds(lambda s: acts_on("reset", s, ErrorCodes.CANCEL), streams),
    st.builds(lambda s, n: acts_on("send_data", s, bytes(n)), streams, sizes),
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(settings_of, st.lists(acts, max_size=40))
def test_an_ordinary_state_and_h2_say_and_see_the_same(
    first: list[tuple[int, int]], history: list[Act]
) -> None:
    short, long = End(on_h2=False), End(on_h2=True)
    for act in [gives(settings_frame(*first)), *history]:
        failures = []
        for end in (short, long):
            try:
                act(end)
            except PeerError as error:
                failures.append((error.code, error.reason))
        assert len(failures) in (0, 2)
        assert failures[:1] == failures[1:]
        assert short.seen == long.seen
        assert short.sent() == long.sent()
        for stream_id in (1, 3, 5, 7, 9):
            assert short.http2.is_open(stream_id) == long.http2.is_open(stream_id)
            if short.http2.is_open(stream_id):
                assert short.http2.window(stream_id) == long.http2.window(stream_id)
        assert short.http2.last_stream_id == long.http2.last_stream_id
        if failures:
            return
    assert _state(short.harden()) == _state(long.harden())


def test_a_stock_device_never_needs_h2() -> None:
    end = End(on_h2=False)
    end.take(settings_frame((PUSH, 0), (3, 0), (INITIAL_WINDOW, 65535), (LIST_BYTES, 16384)))
    for stream_id in (1, 3, 5):
        calls(stream_id, "dev-1", END_HEADERS, True)(end)
        end.http2.accept(stream_id)
    end.take(frame(DATA, END_STREAM, 5, b"\0\0\0\0\2\x08\1") + frame(SETTINGS, ACK, 0, b""))
    end.take(frame(PING, 0, 0, bytes(8)))
    end.http2.send_data(1, bytes(100))
    for stream_id in (1, 3, 5):
        end.take(frame(RST_STREAM, 0, stream_id, struct.pack(">I", 8)))
        assert not end.http2.is_open(stream_id)
    assert isinstance(end.http2._core, OrdinaryConnection)


def test_calls_without_end_need_no_memory_without_end() -> None:
    end = End(on_h2=False)
    end.take(settings_frame())
    for stream_id in range(1, 2001, 2):
        calls(stream_id, "dev-1", END_HEADERS, True)(end)
        end.take(frame(RST_STREAM, 0, stream_id, bytes(4)))
    assert len(end.harden()._closed_streams) <= 256


# Header blocks

names = st.sampled_from([b"te", b":path", b":method", b"device_id", b"x-" + b"n" * 150, b""])
values = st.sampled_from([b"POST", b"trailers", b"", b"dev-1", b"v" * 126, b"\xff\0", b"w" * 900])
fields = st.lists(st.tuples(names, values, st.booleans()), max_size=12)


def _block(encoder: Encoder, some: list[tuple[bytes, bytes, bool]], huffman: bool) -> bytes:
    headers: Any = [
        NeverIndexedHeaderTuple(name, value) if is_secret else (name, value)
        for name, value, is_secret in some
    ]
    return encoder.encode(headers, huffman)


def _agree(table: DynamicTable, decoder: Decoder, block: bytes) -> bool:
    """Decode on both ways. Returns False for a block that hpack refuses."""
    short = table.decode(block, decoder.max_header_list_size)
    try:
        long = [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
    except (HPACKError, IndexError):
        assert short is None
        return False
    if short is not None:
        assert short == long
        assert table.entries == list(decoder.header_table.dynamic_entries)
        assert table.size == decoder.header_table._current_size
    return short is not None


@settings(deadline=None)
@given(st.lists(st.tuples(fields, st.booleans()), max_size=8))
def test_blocks_of_an_encoder_are_decoded_as_by_hpack(
    blocks: list[tuple[list[tuple[bytes, bytes, bool]], bool]],
) -> None:
    table, decoder, encoder = DynamicTable(), Decoder(), Encoder()
    for some, huffman in blocks:
        if not _agree(table, decoder, _block(encoder, some, huffman)):
            return


@settings(deadline=None, max_examples=500)
@given(st.lists(st.binary(max_size=40), max_size=3))
@example([b"\x40\x01a\x01b", b"\xbe\xbf"])
@example([b"\x0f\x2b\x03gzp"])
@example([b"\x7f\x00\x01a", b"\x40\x01a"])
@example([b"\x40\x81\xff\x00"])
def test_any_bytes_are_decoded_as_by_hpack_or_left_to_it(blocks: list[bytes]) -> None:
    table, decoder = DynamicTable(), Decoder()
    for block in blocks:
        if not _agree(table, decoder, block):
            return


@pytest.mark.parametrize("damaged", [b"\xc0", b"\x40\x01a", b"\x80", b"\x3f\xe1\x7f", b"\x41\x05a"])
def test_a_block_that_is_left_to_hpack_changes_nothing(damaged: bytes) -> None:
    table = DynamicTable()
    assert table.decode(b"\x40\x01a\x01b", 100) == [(b"a", b"b")]
    assert table.decode(b"\x40\x01c\x01d" + damaged, 100) is None
    assert table.decode(b"\x40\x01c\x01d\xbe\xbe", 100) is None  # too large a list
    assert table.entries == [(b"a", b"b")]
    assert table.decode(b"\xbe", 100) == [(b"a", b"b")]


def test_a_table_is_as_large_as_it_may_be_and_no_larger() -> None:
    table, decoder, encoder = DynamicTable(), Decoder(), Encoder()
    for number in range(200):
        some = [(b"x-%d" % number, b"v" * 100, False)]
        assert _agree(table, decoder, _block(encoder, some, False))
    assert 3900 < table.size <= 4096
