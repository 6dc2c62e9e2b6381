"""One call: messages, metadata, half-close, deadline and the status it ends with."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
import trio
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame
from raw_peer import framed
from serving import echo, never, packet, service, serving
from trio.testing import MockClock

from audio_server.wire.comms_pb2 import AudioPacket


async def test_messages_come_back_in_order_and_the_call_ends_ok(autojump_clock: MockClock) -> None:
    async with serving() as served:
        peer = served.peer
        await peer.open(1)
        for size in (0, 2, 5, 1000):
            await peer.message(1, packet(size))
        await peer.give(1, b"", end=True)
        expected = b"".join(framed(packet(size)) for size in (0, 2, 5, 1000))
        assert await peer.received(1, len(expected)) == expected
        assert await peer.status(1) == 0
        first, last = peer.headers[1]
        assert first[":status"] == "200"
        assert first["content-type"].startswith("application/grpc")
        assert ":status" not in last


async def test_data_of_any_cut_gives_the_same_messages(autojump_clock: MockClock) -> None:
    wire = b"".join(framed(packet(size)) for size in (3, 0, 7))
    async with serving() as served:
        await served.peer.open(1)
        for byte in wire:
            await served.peer.give(1, bytes([byte]))
            await served.peer.give(1, b"")
        await served.peer.give(1, b"", end=True)
        assert await served.peer.status(1) == 0
        assert await served.peer.received(1, len(wire)) == wire


async def test_padding_is_no_data(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.open(1)
        frame = DataFrame(1, data=framed(packet(5)), flags=["PADDED", "END_STREAM"])
        frame.pad_length = 100
        await served.peer.send(frame)
        assert await served.peer.received(1, 10) == framed(packet(5))
        assert await served.peer.status(1) == 0


async def test_a_handler_sees_the_half_close_and_may_still_send(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        assert await call.recv_message() is None
        assert await call.recv_message() is None
        await trio.sleep(5)
        await call.send_message(AudioPacket(data=b"late"))

    async with serving(handler) as served:
        await served.peer.open(1, end=True)
        start = trio.current_time()
        assert await served.peer.status(1) == 0
        assert trio.current_time() - start == pytest.approx(5)
        assert bytes(served.peer.data[1]).endswith(b"late")


async def test_the_answer_may_end_before_the_request(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        await call.send_message(AudioPacket(data=b"enough"))

    async with serving(handler) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) == 0
        # "Stop sending" is a reset without error (RFC 9113 section 8.1).
        assert await served.peer.reset_code(1) == 0
        # What was on its way meanwhile is harmless, and its window is given back.
        await served.peer.message(1, packet(100))
        await served.peer.give(1, b"", end=True)
        await served.peer.open(3)
        assert await served.peer.status(3) == 0


async def test_a_unary_answer_needs_its_one_message(
    autojump_clock: MockClock, logs: list[Any]
) -> None:
    async def handler(call: Any) -> None:
        await call.recv_message()

    async with serving(service(handler, Cardinality.UNARY_UNARY)) as served:
        await served.peer.open(1)
        await served.peer.message(1, packet(5), end=True)
        assert await served.peer.status(1) == Status.INTERNAL.value
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "handler broke its contract"
    ]
    logs.clear()


async def test_metadata_arrives_also_binary_and_repeated(autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    async def handler(call: Any) -> None:
        seen.extend(call.metadata.items())

    padded = base64.b64encode(b"\x00\xff").decode()
    bare = base64.b64encode(b"four").decode().rstrip("=")
    async with serving(handler) as served:
        await served.peer.open(
            1, ("device_id", "a"), ("device_id", "b"), ("x-bin", f"{padded},{bare}"), ("y", "")
        )
        assert await served.peer.status(1) == 0
    assert seen == [
        ("device_id", "a"),
        ("device_id", "b"),
        ("x-bin", b"\x00\xff"),
        ("x-bin", b"four"),
        ("y", ""),
    ]


async def test_metadata_leaves_with_headers_and_trailers(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        await call.send_initial_metadata(metadata={"a": "1", "b-bin": b"\x00"})
        await call.send_trailing_metadata(metadata={"c": "2"})

    async with serving(handler) as served:
        await served.peer.open(1)
        assert (await served.peer.trailers(1))["c"] == "2"
        first = served.peer.headers[1][0]
        assert first["a"] == "1"
        assert base64.b64decode(first["b-bin"] + "==") == b"\x00"


async def test_a_deadline_ends_the_call_on_time(autojump_clock: MockClock) -> None:
    async with serving(never) as served:
        await served.peer.open(1, ("grpc-timeout", "1500m"))
        start = trio.current_time()
        assert await served.peer.status(1) == Status.DEADLINE_EXCEEDED.value
        assert trio.current_time() - start == pytest.approx(1.5)


@pytest.mark.parametrize("value", ["0n", "0S", "1u"])
async def test_a_deadline_in_the_past_ends_the_call_at_once(
    autojump_clock: MockClock, value: str
) -> None:
    async with serving(never) as served:
        await served.peer.open(1, ("grpc-timeout", value))
        assert await served.peer.status(1) == Status.DEADLINE_EXCEEDED.value


async def test_handlers_see_the_time_they_have(autojump_clock: MockClock) -> None:
    seen: list[float] = []

    async def handler(call: Any) -> None:
        seen.append(trio.current_effective_deadline() - trio.current_time())

    async with serving(handler) as served:
        await served.peer.open(1, ("grpc-timeout", "99999999H"))
        await served.peer.open(3)
        assert await served.peer.status(1) == 0
        assert await served.peer.status(3) == 0
    assert seen == [pytest.approx(99999999 * 3600), math.inf]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
async def test_a_status_that_a_handler_raises_arrives(
    autojump_clock: MockClock, status: Status
) -> None:
    async def handler(call: Any) -> None:
        raise GRPCError(status, "a reason: 100 %, ü")

    async with serving(handler) as served:
        await served.peer.open(1, end=True)
        trailers = await served.peer.trailers(1)
        assert int(trailers["grpc-status"]) == status.value
        assert trailers["grpc-message"] == "a reason: 100 %25, %C3%BC"
        assert trailers[":status"] == "200"  # trailers only


async def test_an_unknown_method_is_unimplemented(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.open(1, path="/test.Echo/Nothing", end=True)
        assert await served.peer.status(1) == Status.UNIMPLEMENTED.value


async def test_a_message_that_is_no_protobuf_is_internal(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.open(1)
        await served.peer.message(1, b"\xff\xff\xff")
        assert await served.peer.status(1) == Status.INTERNAL.value


async def test_a_compressed_message_without_encoding_is_internal(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.open(1)
        await served.peer.give(1, framed(packet(5), compressed=1))
        assert await served.peer.status(1) == Status.INTERNAL.value


async def test_a_truncated_message_is_internal(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.peer.open(1)
        await served.peer.give(1, framed(packet(5))[:-1], end=True)
        assert await served.peer.status(1) == Status.INTERNAL.value


async def test_a_message_too_large_is_refused_on_its_prefix(autojump_clock: MockClock) -> None:
    async with serving(never) as served:
        await served.peer.open(1)
        await served.peer.give(1, b"\x00\xff\xff\xff\xff")
        assert await served.peer.status(1) == Status.RESOURCE_EXHAUSTED.value
        await served.peer.open(3)
        await served.peer.give(3, b"\x00" + (64 * 1024 + 1).to_bytes(4, "big"))
        assert await served.peer.status(3) == Status.RESOURCE_EXHAUSTED.value


async def test_the_largest_message_passes_and_comes_back(autojump_clock: MockClock) -> None:
    message = packet(64 * 1024)
    async with serving(settings={4: 2**20}) as served:
        await served.peer.widen(0, 2**20)
        await served.peer.open(1)
        wire = framed(message)
        for start in range(0, len(wire), 16000):
            await served.peer.give(1, wire[start : start + 16000])
        assert await served.peer.received(1, len(wire)) == wire


async def test_calls_on_one_connection_do_not_wait_for_each_other(
    autojump_clock: MockClock,
) -> None:
    async with serving(lambda call: echo(call)) as served:
        for stream_id in (1, 3, 5):
            await served.peer.open(stream_id)
        await served.peer.message(5, packet(5))
        await served.peer.received(5, 10)
        await served.peer.message(1, packet(5), end=True)
        assert await served.peer.status(1) == 0
        assert not served.peer.data.get(3)


async def test_trailers_wait_for_the_data_before_them(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        await call.send_message(AudioPacket(data=b"x" * 100))

    async with serving(handler, settings={4: 0}) as served:
        await served.peer.open(1, end=True)
        kinds = [type(frame) for frame in await served.peer.quiet() if frame.stream_id]
        assert kinds == [HeadersFrame]
        await served.peer.widen(1, 1000)
        frames = [frame for frame in await served.peer.quiet() if frame.stream_id]
        assert [type(frame) for frame in frames] == [DataFrame, HeadersFrame]
        assert "END_STREAM" in frames[-1].flags


async def test_a_handler_that_cancels_resets_its_stream(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        await call.cancel()

    async with serving(handler) as served:
        await served.peer.open(1)
        frames = [frame for frame in await served.peer.quiet() if frame.stream_id]
        assert [type(frame) for frame in frames] == [RstStreamFrame]
