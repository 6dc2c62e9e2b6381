"""Frames at random: whatever comes, nothing is raised, nothing is left, nobody else is harmed.

`HYPOTHESIS_PROFILE=long` looks longer. A failing example is kept as an `@example`.
"""

from __future__ import annotations

import os
import struct

import structlog
import trio
from http2_frames import PREFACE, frame
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw_peer import RawPeer, framed, request_headers
from serving import echo, packet, service
from trio.testing import MockClock

from audio_server.rpc.client import channel_over
from audio_server.rpc.client_connection import ClientConnection
from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import ServerConnection

EXAMPLES = 5_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 150

Wire = bytes


def _request(peer_headers: list[tuple[str, str]]) -> bytes:
    """A header block that refers to no dynamic entry: it may come at any time, any number."""
    fields = [(name.encode(), value.encode()) for name, value in peer_headers]
    return b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields
    )


GOOD = _request(request_headers())
ANSWER = _request([(":status", "200"), ("content-type", "application/grpc")])
TRAILERS = _request([("grpc-status", "0")])

stream_ids = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 7, 2**31 - 1])
bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [GOOD, GOOD[:9], GOOD[9:], ANSWER, TRAILERS, framed(packet(9)), framed(packet(300))]
    ),
    st.builds(struct.pack, st.just(">I"), st.integers(0, 2**32 - 1)),
    st.builds(struct.pack, st.just(">HI"), st.integers(0, 9), st.integers(0, 2**32 - 1)),
)
flags = st.sampled_from([0, 0, 1, 4, 4, 5, 5, 8, 0x20, 0x2D, 0xFF])
frames = st.builds(frame, st.integers(0, 11), flags, stream_ids, bodies)
calls = st.sampled_from(
    [
        frame(1, 4, 1, GOOD),
        frame(1, 4, 3, GOOD),
        frame(1, 5, 5, GOOD),
        frame(0, 0, 1, framed(packet(20))),
        frame(0, 1, 1, framed(packet(20))),
        frame(3, 0, 1, b"\0\0\0\x08"),
        frame(4, 0, 0, b"\0\x04\0\0\0\0"),
        frame(8, 0, 1, b"\0\0\0\x05"),
        frame(8, 0, 0, b"\0\0\0\x05"),
    ]
)
talks = st.lists(st.one_of(calls, frames), max_size=25)


def run(main: object) -> None:
    with structlog.testing.capture_logs() as logs:
        trio.run(main, clock=MockClock(autojump_threshold=0))  # type: ignore[arg-type]
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []


async def talk(peer: RawPeer, opening: bytes, wires: list[bytes], pieces: list[int]) -> None:
    """Say it all, in pieces, then hang up."""
    data = opening + b"".join(wires)
    step = 0
    try:
        while data:
            size = pieces[step % len(pieces)]
            await peer.raw(data[:size])
            data, step = data[size:], step + 1
            await trio.lowlevel.checkpoint()
        await trio.sleep(1)
        await peer.transport.aclose()
    except trio.BrokenResourceError:
        pass


@settings(max_examples=EXAMPLES, deadline=None)
@given(talks, st.lists(st.integers(1, 200), min_size=1, max_size=4))
@example([frame(1, 4, 1, GOOD), frame(3, 0, 1, b"\0\0\0\x08"), frame(0, 1, 1, b"x")], [200])
def test_a_server_survives_any_frames(wires: list[bytes], pieces: list[int]) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        connection = ServerConnection(service(echo), theirs, limits=Limits(), number=1)
        with trio.fail_after(70):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.run)
                await talk(RawPeer(ours), PREFACE + frame(4, 0, 0, b""), wires, pieces)
        assert not connection.streams

    run(main)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_a_server_survives_any_bytes(noise: bytes, pieces: list[int]) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        connection = ServerConnection(service(echo), theirs, limits=Limits(), number=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            await talk(RawPeer(ours), PREFACE + frame(4, 0, 0, b""), [noise], pieces)

    run(main)


@settings(max_examples=EXAMPLES, deadline=None)
@given(talks, st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_a_client_survives_any_frames(wires: list[bytes], pieces: list[int]) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with channel_over(theirs) as channel:
            connection = channel._connection
            assert isinstance(connection, ClientConnection)
            for _ in range(2):
                connection.open(request_headers())
            await talk(RawPeer(ours), frame(4, 0, 0, b""), wires, pieces)
        assert not connection.streams

    run(main)
