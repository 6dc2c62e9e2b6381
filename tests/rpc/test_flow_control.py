"""Windows, both ways: nothing is sent past one, and nobody starves another stream."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import pytest
import trio
from grpclib.const import Status
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from offending import beside_a_healthy_device
from raw_peer import RawPeer, framed
from serving import LENIENT, echo, never, packet, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.wire.comms_pb2 import AudioPacket

INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5


async def talk(call: Any) -> None:
    """Send without end, a kilobyte each."""
    while True:
        await call.send_message(AudioPacket(data=b"x" * 1000))


def sent(peer: RawPeer, stream_id: int) -> int:
    return len(peer.data.get(stream_id, b""))


# What we send


@pytest.mark.parametrize("window", [0, 1, 4, 5, 6, 999, 70_000])
async def test_no_more_is_sent_than_the_stream_window(
    autojump_clock: MockClock, window: int
) -> None:
    async with beside_a_healthy_device(talk, settings={INITIAL_WINDOW_SIZE: window}) as served:
        await served.peer.open(1)
        await served.peer.quiet()
        assert sent(served.peer, 1) == min(window, 65535)  # or the connection's
        if window < 65535:
            await served.peer.widen(1, 3)
            await served.peer.quiet()
            assert sent(served.peer, 1) == window + 3


async def test_a_window_of_one_byte_at_a_time_carries_whole_messages(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device(settings={INITIAL_WINDOW_SIZE: 0}) as served:
        await served.peer.open(1)
        await served.peer.message(1, packet(9))
        await served.peer.message(1, packet(7), end=True)
        wire = framed(packet(9)) + framed(packet(7))
        for size in range(len(wire)):
            await served.peer.quiet()
            assert sent(served.peer, 1) == size
            await served.peer.widen(1, 1)
        assert await served.peer.status(1) == 0
        assert bytes(served.peer.data[1]) == wire


async def test_the_connection_window_is_shared(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(talk, settings={INITIAL_WINDOW_SIZE: 2**30}) as served:
        for stream_id in (1, 3):
            await served.peer.open(stream_id)
        await served.peer.quiet()
        assert sent(served.peer, 1) + sent(served.peer, 3) == 65535
        await served.peer.widen(0, 1000)
        await served.peer.quiet()
        assert sent(served.peer, 1) + sent(served.peer, 3) == 66535


async def test_the_connection_window_goes_round(autojump_clock: MockClock) -> None:
    """No stream is left without while another has its fill."""
    async with beside_a_healthy_device(talk, settings={INITIAL_WINDOW_SIZE: 2**30}) as served:
        for stream_id in (1, 3, 5):
            await served.peer.open(stream_id)
        await served.peer.quiet()
        before = [sent(served.peer, stream_id) for stream_id in (1, 3, 5)]
        for _ in range(60):
            await served.peer.widen(0, 2000)
            await served.peer.quiet()
        gained = [sent(served.peer, s) - b for s, b in zip((1, 3, 5), before, strict=True)]
        assert sum(gained) == 120_000
        assert min(gained) > 10_000


async def test_a_slow_reader_stops_its_own_stream_only(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        await (echo(call) if call.metadata.get("kind") == "echo" else talk(call))

    async with beside_a_healthy_device(handler, settings={INITIAL_WINDOW_SIZE: 10_000}) as served:
        peer = served.peer
        await peer.open(1)
        await peer.open(3, ("kind", "echo"))
        await peer.quiet()
        for number in range(1, 30):
            await peer.message(3, packet(100))
            assert len(await peer.received(3, number * 105)) == number * 105
        assert sent(peer, 1) == 10_000


async def test_settings_change_windows_of_open_streams(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(talk, settings={INITIAL_WINDOW_SIZE: 100}) as served:
        peer = served.peer
        await peer.open(1)
        await peer.quiet()
        assert sent(peer, 1) == 100
        await peer.settings({INITIAL_WINDOW_SIZE: 150})
        await peer.quiet()
        assert sent(peer, 1) == 150
        await peer.settings({INITIAL_WINDOW_SIZE: 0})  # the window is now -150
        await peer.quiet()
        await peer.widen(1, 150)
        await peer.quiet()
        assert sent(peer, 1) == 150
        await peer.widen(1, 7)
        await peer.quiet()
        assert sent(peer, 1) == 157
        await peer.settings({INITIAL_WINDOW_SIZE: 160})
        await peer.quiet()
        assert sent(peer, 1) == 317


async def test_frames_keep_to_the_peers_frame_size(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        await call.send_message(AudioPacket(data=b"x" * 40_000))

    async with beside_a_healthy_device(handler) as served:
        await served.peer.open(1)
        sizes = [len(f.data) for f in await served.peer.quiet() if isinstance(f, DataFrame)]
        assert max(sizes) <= 16384
        assert sum(sizes) > 40_000
        await served.peer.widen(0, 65_535)
        await served.peer.settings({MAX_FRAME_SIZE: 100_000})
        await served.peer.open(3)
        sizes = [len(f.data) for f in await served.peer.quiet() if isinstance(f, DataFrame)]
        assert len(sizes) == 1


async def test_a_stream_window_past_its_maximum_resets_the_stream(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device(never) as served:
        await served.peer.open(1)
        await served.peer.widen(1, 2**31 - 1)
        assert await served.peer.reset_code(1) == 3
        await served.peer.quiet()
        assert not served.connection.streams


# What we receive


async def test_a_handler_that_does_not_read_stops_its_sender(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(never) as served:
        peer = served.peer
        await peer.open(1)
        for _ in range(4):
            await peer.give(1, framed(packet(15_995)))
        frames = await peer.quiet()
        assert not any(isinstance(f, WindowUpdateFrame) and f.stream_id == 1 for f in frames)
        await peer.give(1, b"x" * 2000)  # past 65,536
        assert (await peer.ended_with())[0] == 3  # FLOW_CONTROL_ERROR


async def test_the_connection_window_bounds_all_streams_together(
    autojump_clock: MockClock,
) -> None:
    async with beside_a_healthy_device(never) as served:
        peer = served.peer
        for stream_id in (1, 3, 5, 7):
            await peer.open(stream_id)
            for _ in range(4):
                await peer.give(stream_id, framed(packet(16_384 - 5)))
        await peer.open(9)
        await peer.quiet()
        assert not served.ended.is_set()
        await peer.give(9, b"12345")
        assert (await peer.ended_with())[0] == 3


async def pump(peer: RawPeer, stream_id: int, wire: bytes, window: dict[int, int]) -> None:
    """Send `wire` within the windows that the server gives."""
    while wire:
        room = min(window[0], window[stream_id], 16_384, len(wire))
        if room <= 0:
            await peer.read()
        else:
            await peer.give(stream_id, wire[:room])
            window[0] -= room
            window[stream_id] -= room
            wire = wire[room:]
        for frame in peer.frames:
            if isinstance(frame, WindowUpdateFrame) and frame.stream_id in window:
                window[frame.stream_id] += frame.window_increment
        peer.frames.clear()


@pytest.mark.parametrize("first", [1, 1000, 20_000, 30_000, 32_000, 33_000, 60_000])
async def test_a_message_as_large_as_the_window_always_arrives(
    autojump_clock: MockClock, first: int
) -> None:
    """What is left of the window after others were read must not strand a large message."""
    sizes: list[int] = []

    async def handler(call: Any) -> None:
        async for message in call:
            sizes.append(len(message.data))

    async with beside_a_healthy_device(handler) as served:
        peer = served.peer
        await peer.open(1)
        await peer.quiet()
        window = {0: 256 * 1024, 1: 64 * 1024}
        with trio.fail_after(5):
            for size in (first, 64 * 1024, first, 64 * 1024, 64 * 1024):
                await pump(peer, 1, framed(packet(size)), window)
            await peer.give(1, b"", end=True)
            assert await peer.status(1) == 0
        assert len(sizes) == 5


async def test_data_for_dead_streams_gives_its_window_back(autojump_clock: MockClock) -> None:
    """Unknown, refused, failed and ended streams: the connection's window never leaks."""
    async with beside_a_healthy_device(limits=replace(LENIENT, max_streams=1)) as served:
        peer = served.peer
        window = {0: 256 * 1024}
        await peer.open(1)
        for stream_id in range(3, 103, 2):
            await peer.open(stream_id)
            window[stream_id] = 64 * 1024
            with trio.fail_after(5):
                await pump(peer, stream_id, b"x" * 60_000, window)
        await peer.message(1, packet(5), end=True)
        assert await peer.status(1) == 0


async def test_data_after_a_failure_gives_its_window_back(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device() as served:
        peer = served.peer
        window = {0: 256 * 1024}
        for stream_id in range(1, 41, 2):
            window[stream_id] = 64 * 1024
            await peer.open(stream_id)
            await peer.give(stream_id, framed(b"x", compressed=1))
            window[0] -= 6
            with trio.fail_after(5):
                await pump(peer, stream_id, b"x" * 60_000, window)
            assert await peer.status(stream_id) == Status.INTERNAL.value


async def test_padding_gives_its_window_back(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(echo) as served:
        peer = served.peer
        await peer.open(1)
        frame = DataFrame(1, data=b"", flags=["PADDED"])
        frame.pad_length = 255
        window = 64 * 1024
        for _ in range(2000):
            await peer.send(frame)
            window -= 256
            if window < 256:
                await peer.quiet()
                assert not served.ended.is_set()
                break


async def test_bytes_waiting_for_a_peer_that_does_not_read_are_bounded(
    autojump_clock: MockClock, logs: list[MutableMapping[str, Any]]
) -> None:
    async with beside_a_healthy_device(
        talk, pair=trio.testing.lockstep_stream_pair, settings=None, greet=False
    ) as served:
        peer = served.peer
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.greet, {INITIAL_WINDOW_SIZE: 2**30})
            await wait_all_tasks_blocked()
        await peer.widen(0, 2**30)
        for stream_id in (1, 3, 5):
            await peer.open(stream_id)
        await wait_all_tasks_blocked()
        waiting = len(served.connection.http2.out)
        assert 0 < waiting < 64 * 1024


async def test_no_reset_is_sent_for_data_past_the_end(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(echo) as served:
        await served.peer.open(1, end=True)
        await served.peer.quiet()
        assert not any(isinstance(f, RstStreamFrame) for f in await served.peer.quiet())


async def test_a_smaller_window_counts_once_it_is_acknowledged(autojump_clock: MockClock) -> None:
    """Until then a client may use the 65,535 bytes of RFC 9113 section 6.9.2."""
    async with serving(never, limits=replace(LENIENT, stream_window_bytes=4096)) as served:
        peer = served.peer
        await peer.open(1)
        await peer.give(1, framed(bytes(20_000))[:16_384])
        await peer.send(SettingsFrame(0, flags=["ACK"]))
        await peer.open(3)
        await peer.message(3, bytes(4091))
        await wait_all_tasks_blocked()
        assert not served.ended.is_set()
        await peer.give(3, b"x")
        assert (await peer.ended_with())[0] == 3


async def test_what_was_sent_before_the_acknowledgement_arrives_whole(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo, limits=replace(LENIENT, stream_window_bytes=4096)) as served:
        await served.peer.settings({4: 2**20})
        await served.peer.widen(0, 2**20)
        message = framed(packet(30_000))
        await served.peer.open(1)
        await served.peer.give(1, message[:16_000])
        await served.peer.give(1, message[16_000:], end=True)
        await served.peer.send(SettingsFrame(0, flags=["ACK"]))
        assert await served.peer.received(1, len(message)) == message
