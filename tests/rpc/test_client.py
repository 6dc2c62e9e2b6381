"""The client half, against a server made of raw frames."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from core_process import open_core_server
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame
from raw_peer import ECHO, RawPeer, framed
from serving import echo, packet, service
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.rpc.client import Channel, ClientCall, channel_over, open_channel
from audio_server.rpc.server_connection import serve_connection
from audio_server.wire.comms_pb2 import AudioPacket

ANSWER = [(":status", "200"), ("content-type", "application/grpc")]


@asynccontextmanager
async def calling(settings: dict[int, int] | None = None) -> AsyncIterator[tuple[RawPeer, Channel]]:
    """A channel, and the server as a raw peer."""
    ours, theirs = trio.testing.memory_stream_pair()
    peer = RawPeer(theirs)
    async with channel_over(ours) as channel:
        await peer.take_preface()
        await peer.greet(settings, client=False)
        await wait_all_tasks_blocked()
        yield peer, channel


def begin(channel: Channel, **options: Any) -> ClientCall:
    return channel.request(ECHO, Cardinality.STREAM_STREAM, AudioPacket, AudioPacket, **options)


async def ends_with(call: ClientCall) -> Status:
    with pytest.raises(GRPCError) as raised:
        await call.recv_message()
    return raised.value.status


async def test_what_a_request_says(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel):
        metadata = {"device_id": "a", "x-bin": b"\x00"}
        async with begin(channel, metadata=metadata, timeout=1.5):
            await peer.next(HeadersFrame, 1)
            headers = peer.headers[1][0]
    assert headers[":path"] == ECHO
    assert headers["te"] == "trailers"
    assert headers["device_id"] == "a"
    assert headers["grpc-timeout"] in ("1500m", "1500000u")


async def test_messages_and_a_good_end(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(peer.headers_frame(1, ANSWER))
        await peer.message(1, packet(9))
        await peer.send(peer.headers_frame(1, [("grpc-status", "0")], end=True))
        assert (await call.recv_message()).ByteSize() == 9
        assert await call.recv_message() is None
        assert await call.recv_message() is None


async def test_half_close_is_said(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await call.send_message(AudioPacket(data=b"x"), end=True)
        frames = await peer.quiet()
        assert "END_STREAM" in frames[-1].flags
        with pytest.raises(GRPCError):
            await call.send_message(AudioPacket())


async def test_a_web_server_is_named_as_one(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        page = [(":status", "404"), ("content-type", "text/html")]
        await peer.send(peer.headers_frame(1, page))
        await peer.send(DataFrame(1, data=b"<html>"))
        with pytest.raises(GRPCError, match=r"speaks no gRPC \(HTTP 404\)") as raised:
            await call.recv_message()
        assert raised.value.status is Status.UNIMPLEMENTED


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-here\r\n"])
async def test_whoever_does_not_greet_is_no_server(autojump_clock: MockClock, said: bytes) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with channel_over(ours) as channel, begin(channel) as call:
        if said:
            await theirs.send_all(said)
        await theirs.aclose()
        with pytest.raises(GRPCError, match="no gRPC server is there") as raised:
            await call.recv_message()
        assert raised.value.status is Status.UNAVAILABLE


async def test_trailers_alone_are_a_status(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        trailers = [*ANSWER, ("grpc-status", "5"), ("grpc-message", "no %C3%BC")]
        await peer.send(peer.headers_frame(1, trailers, end=True))
        with pytest.raises(GRPCError) as raised:
            await call.recv_message()
        assert (raised.value.status, raised.value.message) == (Status.NOT_FOUND, "no ü")


async def test_a_status_is_kept_when_a_reset_follows(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(peer.headers_frame(1, [*ANSWER, ("grpc-status", "0")], end=True))
        await peer.reset(1, 0)
        assert await call.recv_message() is None


async def test_a_status_is_kept_when_the_connection_is_lost(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(peer.headers_frame(1, ANSWER))
        await peer.message(1, packet(9))
        await peer.send(peer.headers_frame(1, [("grpc-status", "0")], end=True))
        await peer.transport.aclose()
        await wait_all_tasks_blocked()
        assert (await call.recv_message()).ByteSize() == 9
        assert await call.recv_message() is None


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0, Status.INTERNAL),
        (1, Status.INTERNAL),
        (2, Status.INTERNAL),
        (3, Status.INTERNAL),
        (7, Status.UNAVAILABLE),
        (8, Status.CANCELLED),
        (11, Status.RESOURCE_EXHAUSTED),
        (12, Status.PERMISSION_DENIED),
        (99, Status.INTERNAL),
    ],
)
async def test_a_reset_is_a_status(autojump_clock: MockClock, code: int, status: Status) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.reset(1, code)
        assert await ends_with(call) == status


@pytest.mark.parametrize(
    ("http", "status"),
    [
        ("400", Status.INTERNAL),
        ("401", Status.UNAUTHENTICATED),
        ("403", Status.PERMISSION_DENIED),
        ("404", Status.UNIMPLEMENTED),
        ("502", Status.UNAVAILABLE),
        ("503", Status.UNAVAILABLE),
        ("200", Status.UNKNOWN),
        ("418", Status.UNKNOWN),
    ],
)
async def test_an_answer_without_a_status_has_https(
    autojump_clock: MockClock, http: str, status: Status
) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(peer.headers_frame(1, [(":status", http)], end=True))
        assert await ends_with(call) == status


async def test_an_odd_status_is_unknown(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(peer.headers_frame(1, [*ANSWER, ("grpc-status", "x")], end=True))
        assert await ends_with(call) == Status.UNKNOWN


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (framed(b"\xff\xff"), Status.INTERNAL),
        (framed(b"", compressed=1), Status.INTERNAL),
        (b"\x00\xff\xff\xff\xff", Status.RESOURCE_EXHAUSTED),
    ],
)
async def test_a_bad_message_ends_the_call(
    autojump_clock: MockClock, wire: bytes, status: Status
) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(peer.headers_frame(1, ANSWER))
        await peer.give(1, wire)
        assert await ends_with(call) == status


async def test_a_truncated_message_ends_the_call(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(peer.headers_frame(1, ANSWER))
        await peer.give(1, framed(packet(9))[:-1])
        await peer.send(peer.headers_frame(1, [("grpc-status", "0")], end=True))
        assert await ends_with(call) == Status.INTERNAL


async def test_cancel_is_a_reset(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await call.cancel()
        assert await peer.reset_code(1) == 8
        assert await ends_with(call) == Status.CANCELLED


async def test_leaving_the_block_is_a_reset(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel):
        async with begin(channel):
            pass
        assert await peer.reset_code(1) == 8


async def test_leaving_the_block_after_the_end_is_none(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel):
        async with begin(channel) as call:
            await call.end()
            await peer.send(peer.headers_frame(1, [*ANSWER, ("grpc-status", "0")], end=True))
            assert await call.recv_message() is None
        assert not any(isinstance(frame, RstStreamFrame) for frame in await peer.quiet())


async def test_a_lost_connection_fails_calls_and_not_the_block(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.transport.aclose()
        assert await ends_with(call) == Status.UNAVAILABLE
        with pytest.raises(GRPCError):
            await call.send_message(AudioPacket())
        with pytest.raises(GRPCError) as raised:
            await begin(channel).__aenter__()
        assert raised.value.status is Status.UNAVAILABLE


async def test_a_lost_connection_wakes_a_blocked_sender(autojump_clock: MockClock) -> None:
    async def send(call: ClientCall) -> None:
        with pytest.raises(GRPCError):
            await send_for_ever(call)

    async with calling({4: 0}) as (peer, channel), begin(channel) as call:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(close_later, peer)
                nursery.start_soon(send, call)


async def send_for_ever(call: ClientCall) -> None:
    while True:
        await call.send_message(AudioPacket(data=b"x"))


async def close_later(peer: RawPeer) -> None:
    await trio.sleep(1)
    await peer.transport.aclose()


async def test_goaway_lets_accepted_calls_finish(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as first, begin(channel) as second:
        await peer.send(GoAwayFrame(0, last_stream_id=1, error_code=0))
        assert await ends_with(second) == Status.UNAVAILABLE
        with pytest.raises(GRPCError) as raised:
            await begin(channel).__aenter__()
        assert raised.value.status is Status.UNAVAILABLE
        await peer.send(peer.headers_frame(1, [*ANSWER, ("grpc-status", "0")], end=True))
        assert await first.recv_message() is None


async def test_more_calls_than_the_server_allows_fail_alone(autojump_clock: MockClock) -> None:
    async with calling({3: 1}) as (peer, channel), begin(channel) as call:
        with pytest.raises(GRPCError, match="the server takes no more calls") as raised:
            await begin(channel).__aenter__()
        assert raised.value.status is Status.UNAVAILABLE
        await peer.send(peer.headers_frame(1, [*ANSWER, ("grpc-status", "0")], end=True))
        assert await call.recv_message() is None


async def test_metadata_that_is_larger_than_the_server_takes_is_not_sent(
    autojump_clock: MockClock,
) -> None:
    async with calling({6: 500}) as (peer, channel):
        with pytest.raises(GRPCError, match="the metadata is larger") as raised:
            await begin(channel, metadata={"device_id": "a" * 200}).__aenter__()
        assert raised.value.status is Status.RESOURCE_EXHAUSTED
        async with begin(channel, metadata={"device_id": "a"}):
            await peer.next(HeadersFrame, 1)


async def test_a_dead_server_is_found(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        start = trio.current_time()
        assert await ends_with(call) == Status.UNAVAILABLE
        assert trio.current_time() - start == pytest.approx(30)
        await peer.next(PingFrame)


async def test_a_server_that_breaks_the_protocol_is_left(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(HeadersFrame(2, data=b"\x82", flags=["END_HEADERS"]))
        assert await ends_with(call) == Status.UNAVAILABLE


async def test_a_cancelled_receive_loses_nothing(autojump_clock: MockClock) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        with trio.move_on_after(1):
            await call.recv_message()
        await peer.send(peer.headers_frame(1, ANSWER))
        await peer.give(1, framed(packet(9))[:4])
        with trio.move_on_after(1):
            await call.recv_message()
        await peer.give(1, framed(packet(9))[4:])
        assert (await call.recv_message()).ByteSize() == 9


async def test_against_our_own_server(autojump_clock: MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, service(echo), theirs)
        async with channel_over(ours) as channel, begin(channel) as call:
            for size in (0, 1, 60_000, 5, 60_000):
                await call.send_message(AudioPacket(data=b"x" * size))
                assert len((await call.recv_message()).data) == size
            await call.end()
            assert await call.recv_message() is None


@pytest.mark.parametrize("table_bytes", ["0", "100", "65536"])
async def test_a_server_with_a_header_table_of_any_size(table_bytes: str) -> None:
    """gRPC's C core, which ends the connection where a size update is missing."""
    with trio.fail_after(60), open_core_server(table_bytes) as port:
        async with open_channel("127.0.0.1", port) as channel:
            for number in range(3):
                async with begin(channel, metadata={"device_id": f"{number}" * 40}) as call:
                    await call.send_message(AudioPacket(data=b"x"), end=True)
                    assert (await call.recv_message()).data == b"x"
                    assert await call.recv_message() is None
