"""Whatever a peer announces, whenever: all bytes that it gets obey it, and all calls go on."""

from __future__ import annotations

import os

import pytest
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw_peer import request_headers
from strict_peer import (
    FRAME_BYTES,
    INITIAL_WINDOW,
    LIST_BYTES,
    PUSH,
    STREAMS,
    TABLE,
    Pairs,
    StrictPeer,
    header_list_bytes,
)

from audio_server.rpc.errors import PeerError

EXAMPLES = 5_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 200

TRAILERS = [("grpc-status", "9"), ("grpc-message", "no such thing")]


def literal(fields: list[tuple[str, str]]) -> bytes:
    """A header block that refers to no table."""
    return b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields
    )


REQUEST = literal(request_headers())

sizes = st.sampled_from([0, 1, 31, 32, 33, 100, 4095, 4096, 4097, 65536, 2**31, 2**32 - 1])
values = st.one_of(
    st.tuples(st.just(TABLE), st.one_of(sizes, st.integers(0, 2**32 - 1))),
    st.tuples(st.just(TABLE), sizes),
    st.tuples(st.just(PUSH), st.just(0)),
    st.tuples(st.just(STREAMS), st.one_of(st.integers(0, 5), st.just(2**32 - 1))),
    st.tuples(st.just(INITIAL_WINDOW), st.sampled_from([0, 1, 100, 65535, 65536, 2**20])),
    st.tuples(st.just(FRAME_BYTES), st.sampled_from([16384, 16385, 65536, 2**24 - 1])),
    st.tuples(st.just(LIST_BYTES), st.sampled_from([0, 108, 120, 4096, 2**32 - 1])),
)
settings_frames = st.lists(values, max_size=4)


class _Talk:
    """A server's side of a talk; each step is judged as soon as it is done."""

    def __init__(self, first: Pairs) -> None:
        self.peer = StrictPeer(client_side=False, first=first)
        self.next_id = 1
        self.open: list[int] = []
        self.sent = 0

    def call(self) -> None:
        self.peer.request(self.next_id, REQUEST)
        self.peer.subject.accept(self.next_id)
        self.open.append(self.next_id)
        self.next_id += 2

    def data(self, size: int) -> None:
        for stream_id in self.open:
            self.sent += self.peer.subject.send_data(stream_id, bytes(size))

    def data_at_once(self, size: int) -> None:
        for stream_id in self.open:
            self.peer.judge()
            written = self.peer.subject.frame_data(stream_id, bytes(size), spare_bytes=0)
            if written is not None:
                self.peer.on_readable(written)

    def end(self) -> None:
        if self.open:
            stream_id = self.open.pop()
            self.peer.subject.send_headers(stream_id, TRAILERS, end_stream=True)
            self.peer.judge()
            assert self.peer.headers[-1][1]["grpc-status"] == "9"
            self.peer.subject.reset(stream_id, ErrorCodes.NO_ERROR)
            self.peer.windows.pop(stream_id)

    def widen(self, size: int) -> None:
        for stream_id in (0, *self.open):
            self.peer.widen(stream_id, size)

    def ping(self) -> None:
        self.peer.subject.ping()


steps = st.one_of(
    st.tuples(st.just("announce"), settings_frames),
    st.tuples(st.just("announce"), settings_frames),
    st.tuples(st.just("call")),
    st.tuples(st.just("data"), st.integers(1, 70_000)),
    st.tuples(st.just("data_at_once"), st.integers(1, 20_000)),
    st.tuples(st.just("end")),
    st.tuples(st.just("widen"), st.integers(1, 100_000)),
    st.tuples(st.just("ping")),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(settings_frames, st.lists(steps, max_size=25))
@example([(TABLE, 0)], [("call",)])
@example([(TABLE, 0), (TABLE, 4096)], [("call",), ("end",)])
@example(
    [], [("call",), ("end",), ("announce", [(TABLE, 0)]), ("announce", [(TABLE, 0)]), ("call",)]
)
@example([(TABLE, 65536)], [("call",), ("announce", [(TABLE, 8192)]), ("call",)])
def test_a_server_obeys_what_its_client_announces(first: Pairs, talk: list[tuple]) -> None:  # type: ignore[type-arg]
    server = _Talk(first)
    for name, *arguments in talk:
        if name == "announce":
            server.peer.announce(*arguments)
        else:
            getattr(server, name)(*arguments)
        server.peer.judge()
    calls = {stream_id for stream_id, fields in server.peer.headers if ":status" in fields}
    assert calls == set(range(1, server.next_id, 2))


@settings(max_examples=EXAMPLES, deadline=None)
@given(settings_frames, st.lists(st.one_of(settings_frames, st.none()), max_size=20))
@example([(TABLE, 0), (STREAMS, 1)], [None, None])
@example([(LIST_BYTES, 10)], [None])
def test_a_client_obeys_what_its_server_announces(first: Pairs, talk: list[Pairs | None]) -> None:
    """None is a call; those that the server has no room for are not begun."""
    peer = StrictPeer(client_side=True, first=first)
    for pairs in talk:
        if pairs is None:
            _call(peer)
        else:
            peer.announce(pairs)
        peer.judge()


def _call(peer: StrictPeer) -> None:
    headers = request_headers("/x/y", ("device_id", "a" * 40))
    opened, size = len(peer.headers), header_list_bytes(headers)
    fits = size <= peer.values.get(LIST_BYTES, size)
    assert peer.subject.takes_header_list(headers) == fits
    if not fits:
        return
    if opened >= peer.values.get(STREAMS, opened + 1):
        with pytest.raises(ProtocolError):
            peer.subject.open_stream(headers)
    else:
        peer.windows[peer.subject.open_stream(headers)] = peer.values[INITIAL_WINDOW]
        peer.judge()
        assert peer.headers[opened][1] == dict(headers)


@pytest.mark.parametrize(
    ("limit", "message"), [(2**32 - 1, True), (101, True), (100, False), (44, False), (0, False)]
)
def test_a_status_leaves_out_its_message_before_it_is_too_large(
    limit: int, *, message: bool
) -> None:
    """The status itself is never left out: a call without one has no end for its client."""
    server = _Talk([(LIST_BYTES, limit)])
    server.call()
    server.end()
    assert ("grpc-message" in server.peer.headers[-1][1]) is message


def test_a_value_that_is_wrong_ends_the_connection_though_a_right_one_follows() -> None:
    for pair in [(INITIAL_WINDOW, 2**31), (FRAME_BYTES, 16383), (PUSH, 2)]:
        peer = StrictPeer(client_side=False, first=[])
        with pytest.raises(PeerError):
            peer.announce([pair, (pair[0], 0 if pair[0] == PUSH else 16384)])


def test_a_stream_that_has_ended_has_no_window_that_could_be_too_large() -> None:
    server = _Talk([])
    server.call()
    server.peer.widen(1, 2**31 - 1 - 65535)
    server.end()
    server.peer.announce([(INITIAL_WINDOW, 65536)])
    server.call()
    server.peer.judge()


def test_settings_without_end_cost_no_memory_between_two_calls() -> None:
    server = _Talk([])
    for n in range(1000):
        server.peer.announce([(TABLE, n % 7)])
        server.peer.judge()
    server.call()
    server.peer.judge()
    encoder = server.peer.subject._h2.encoder
    assert not encoder.table_size_changes
