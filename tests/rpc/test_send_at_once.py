"""Sound on its short way: one frame in a write of its own, by the rules of the long way."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from hpack import Encoder
from http2_frames import PREFACE
from hyperframe.frame import HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_peer import RawPeer, framed, request_headers
from serving import packet, service, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import FrameReader
from audio_server.rpc.io import sockets
from audio_server.rpc.limits import Limits
from audio_server.rpc.server import Server
from audio_server.rpc.stream import SPARE_BYTES

LIMITS = Limits()
FRAME_BYTES = 16_384
SMALL = framed(packet(100))
BIG = framed(packet(10_000))

sizes = st.integers(1, 400) | st.integers(FRAME_BYTES - 1, FRAME_BYTES + 1)
sends = st.tuples(st.sampled_from([1, 1, 3, 5, 7]), sizes)
grants = st.tuples(st.sampled_from([0, -1, -3]), st.integers(1, 20_000))
histories = st.lists(sends | grants, min_size=5, max_size=40)


class End:
    """Ours, with streams 1, 3 and 5 open, the last one reset again."""

    def __init__(self, window_bytes: int) -> None:
        self.http2 = ConnectionState(LIMITS, client_side=False)
        self._reader = FrameReader(LIMITS, client_side=False)
        self._on_readable(PREFACE + SettingsFrame(0, settings={4: window_bytes}).serialize())
        encoder = Encoder()
        for stream_id in (1, 3, 5):
            block = encoder.encode(request_headers())
            self._on_readable(HeadersFrame(stream_id, block, flags=["END_HEADERS"]).serialize())
        self._on_readable(RstStreamFrame(5, error_code=8).serialize())

    def _on_readable(self, wire: bytes) -> None:
        self._reader.add(wire)
        while frame := self._reader.next():
            self.http2.receive(frame)

    def grant(self, stream_id: int, size: int) -> None:
        """The peer lets us send more."""
        frame = WindowUpdateFrame(stream_id)
        frame.window_increment = size
        self._on_readable(frame.serialize())

    @property
    def windows(self) -> list[int]:
        """What may be sent on each stream."""
        return [self.http2.window(stream_id) for stream_id in (1, 3, 5)]


@settings(deadline=None)
@given(histories, st.sampled_from([0, 300, 70_000, 2**30]), st.sampled_from([0, SPARE_BYTES]))
def test_a_frame_is_what_the_windows_would_take(
    history: list[tuple[int, int]], window_bytes: int, spare_bytes: int
) -> None:
    """What is refused is charged to nothing, and what is not is the long way's very bytes."""
    short, long = End(window_bytes), End(window_bytes)
    for target, size in history:
        if target <= 0:
            short.grant(-target, size)
            long.grant(-target, size)
            continue
        data = bytes([size % 251]) * size
        frame = short.http2.frame_data(target, data, spare_bytes=spare_bytes)
        room = long.http2.window(target, spare_bytes=spare_bytes)
        assert (frame is not None) == (size <= min(room, FRAME_BYTES))
        if frame is not None:
            short.http2.out += frame
            long.http2.send_data(target, data)
        assert short.http2.out == long.http2.out
        assert short.windows == long.windows


async def test_the_last_of_the_connections_window_is_for_others(
    autojump_clock: MockClock,
) -> None:
    done: list[int] = []

    async def handler(call: Any) -> None:
        writer = await call.open_writer()
        await wait_all_tasks_blocked()
        sent = 0
        while writer.send_at_once(SMALL):
            sent += len(SMALL)
            await wait_all_tasks_blocked()
        done.append(sent)

    async with serving(handler, settings={4: 2**30}) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) == 0
        assert len(served.peer.data[1]) == done[0]
    assert 65_535 - SPARE_BYTES - len(SMALL) < done[0] <= 65_535 - SPARE_BYTES


async def test_nothing_overtakes_what_waits(autojump_clock: MockClock) -> None:
    """Neither what waits for the transport nor what waits for a window."""
    said: list[bool] = []

    async def handler(call: Any) -> None:
        writer = await call.open_writer()
        said.append(writer.send_at_once(SMALL))  # the headers wait
        await wait_all_tasks_blocked()
        writer.send_nowait(BIG)
        await wait_all_tasks_blocked()
        said.append(writer.send_at_once(SMALL))
        await writer.wait_room()
        await wait_all_tasks_blocked()
        said.append(writer.send_at_once(SMALL))

    async with serving(handler, settings={4: 5_000}) as served:
        await served.peer.open(1)
        await served.peer.quiet()
        assert said == [False, False]
        await served.peer.widen(1, 50_000)
        assert await served.peer.status(1) == 0
        assert bytes(served.peer.data[1]) == BIG + SMALL
    assert said == [False, False, True]


async def test_a_message_alone_goes_out_at_once_unless_others_wait(
    autojump_clock: MockClock,
) -> None:
    waiting: list[int] = []

    async def handler(call: Any) -> None:
        await call.send_initial_metadata()
        call.send_alone(SMALL)  # with the headers
        waiting.append(len(served.connection.http2.out))
        await wait_all_tasks_blocked()
        call.send_alone(BIG)  # more than a frame
        call.send_alone(SMALL)  # behind it
        await wait_all_tasks_blocked()

    async with serving(handler, settings={4: 2**30}) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) == 0
        assert bytes(served.peer.data[1]) == SMALL + BIG + SMALL
    assert waiting[0] > len(SMALL)


async def test_a_stream_that_is_over_takes_nothing(autojump_clock: MockClock) -> None:
    writers: list[Any] = []

    async def handler(call: Any) -> None:
        writers.append(await call.open_writer())

    async with serving(handler) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) == 0
        assert not writers[0].send_at_once(SMALL)


class Speaker:
    """A handler that sends what it can at once, and the rest when there is room."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.at_once = 0

    async def __call__(self, call: Any) -> None:
        call.identified()
        writer = await call.open_writer()
        await trio.sleep(0.05)
        for number in range(self.messages):
            frames = self.message(number)
            if writer.send_at_once(frames):
                self.at_once += 1
            else:
                await writer.wait_room()
                writer.send_nowait(frames)

    @staticmethod
    def message(number: int) -> bytes:
        return framed(packet(8_000, bytes([number % 256])))


@pytest.mark.parametrize("short", [False, True])
async def test_over_a_socket_that_takes_little_all_arrives_in_order(
    short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`short`: each write takes a part, and every third one nothing."""
    speaker, writes = Speaker(60), []

    def write(fd: int, data: bytes | bytearray) -> int:
        writes.append(len(data))
        if short and len(writes) % 3 == 0:
            raise BlockingIOError
        return os.write(fd, data[:1000] if short else data)

    monkeypatch.setattr(sockets, "os", SimpleNamespace(write=write, read=os.read))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            await nursery.start(Server(service(speaker)).run, listeners)
            with trio.socket.socket() as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await raw.connect(("127.0.0.1", listeners[0].socket.getsockname()[1]))
                peer = RawPeer(trio.SocketStream(raw))
                await peer.greet({4: 2**30})
                await peer.widen(0, 2**30)
                await peer.open(1)
                assert await peer.status(1) == 0
            nursery.cancel_scope.cancel()
    expected = b"".join(speaker.message(number) for number in range(60))
    assert bytes(peer.data[1]) == expected
    assert speaker.at_once
