"""Messages out of bytes that come in any pieces, and what it costs to keep them."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_peer import framed

from audio_server.rpc.messages import MessageReader


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_any_pieces_give_the_same_messages(
    messages: list[bytes], pieces: list[int], taken_every: int
) -> None:
    reader, got = MessageReader(100), []
    wire, step = b"".join(map(framed, messages)), 0
    while wire:
        size = pieces[step % len(pieces)]
        before = reader.whole
        assert reader.feed(wire[:size]) is (reader.whole > before)
        wire, step = wire[size:], step + 1
        if taken_every and step % taken_every == 0:
            got += [reader.take() for _ in range(reader.whole)]
    got += [reader.take() for _ in range(reader.whole)]
    assert got == messages
    assert (reader.partial_bytes, reader.missing_bytes) == (0, 0)


@settings(deadline=None)
@given(
    st.builds(framed, st.binary(max_size=12), compressed=st.integers(0, 1))
    | st.binary(max_size=12),
    st.binary(max_size=3).map(framed) | st.binary(max_size=5).map(lambda rest: b"\0" + rest),
)
def test_a_sole_message_is_one_that_is_whole_and_alone(data: bytes, before: bytes) -> None:
    reader, fed = MessageReader(10), MessageReader(10)
    message = reader.sole(data)
    assert (reader.whole, reader.partial_bytes) == (0, 0)
    if message is None:
        with suppress(GRPCError):
            assert not (fed.feed(data) and fed.whole == 1 and not fed.partial_bytes)
    else:
        assert fed.feed(data)
        assert (fed.take(), fed.whole, fed.partial_bytes) == (message, 0, 0)
    with suppress(GRPCError):
        reader.feed(before)
        assert reader.sole(data) is None


def test_what_is_missing_is_known_from_the_prefix_on() -> None:
    reader = MessageReader(100)
    wire = framed(b"first") + framed(b"12345678")
    seen = []
    for index in range(len(wire)):
        reader.feed(wire[index : index + 1])
        seen.append(reader.missing_bytes)
    assert seen == [4, 3, 2, 1, 5, 4, 3, 2, 1, 0, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (framed(b"x" * 101), Status.RESOURCE_EXHAUSTED),
        (framed(b"", compressed=1), Status.INTERNAL),
    ],
)
def test_a_prefix_that_may_not_be_is_refused(wire: bytes, status: Status) -> None:
    reader = MessageReader(100)
    with pytest.raises(GRPCError) as raised:
        reader.feed(framed(b"good") + wire[:5])
    assert raised.value.status is status


def test_a_window_full_of_tiny_messages_is_no_larger_than_any_other() -> None:
    reader = MessageReader(100)
    wire = framed(b"ab") * 9000
    tracemalloc.start()
    for start in range(0, len(wire), 700):
        reader.feed(wire[start : start + 700])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.whole == 9000
    assert held < 1.5 * len(wire)
