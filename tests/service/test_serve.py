"""The server's own life: from loading its clips to its last word."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing
from free_ports import free_port
from grpclib.const import Status
from panel import Panel, status_of
from service_home import FIVE
from trio.testing import MockClock

from audio_server.app import serve, serve_until
from audio_server.assembly import make_devices, make_limits
from audio_server.clips.errors import ClipError
from audio_server.clips.loader import Progress
from audio_server.device.behaviour import Button
from audio_server.rpc.client import channel_over, open_channel
from audio_server.rpc.limits import Limits
from audio_server.rpc.server import Server
from audio_server.service.device_service import DeviceService
from audio_server.service.serving import TAKES_END_S, serve_on
from audio_server.settings import LimitSettings, Settings
from audio_server.wire.comms_grpc import DeviceServiceStub

SHIPPED = Path(__file__).parents[2] / "clips"
GRACE_S = 8.0
SMALL = Limits(stream_window_bytes=4096)


class MemoryListener(trio.abc.Listener[Any]):
    """Where connections through memory come in."""

    def __init__(self) -> None:
        self._arrive, self._arrived = trio.open_memory_channel[Any](10)

    async def accept(self) -> Any:
        return await self._arrived.receive()

    async def aclose(self) -> None:
        self._arrived.close()
        await trio.lowlevel.checkpoint()

    def connect(self) -> Any:
        """The near end of a new connection; `trio.ClosedResourceError` after `aclose`."""
        near, far = trio.testing.memory_stream_pair()
        self._arrive.send_nowait(far)
        return near


class Serving:
    """A server in memory that can be told to stop, and when it has."""

    def __init__(self, drain_s: float = 0.0, limits: Limits | None = None) -> None:
        self.listener = MemoryListener()
        self.stop = trio.Event()
        self.stopped_s: float | None = None
        self.devices = make_devices(Settings(), FIVE)
        self._drain_s = drain_s
        self._limits = limits

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        server = Server(
            DeviceService(self.devices).__mapping__(),
            limits=self._limits,
            busy=self.devices.peers_playing,
        )
        listeners: Any = [self.listener]
        times = GRACE_S, self._drain_s
        await serve_on(listeners, server, self.devices, self.stop, *times, task_status=task_status)
        self.stopped_s = trio.current_time()

    @asynccontextmanager
    async def device(self, device_id: str, limits: Limits | None = None) -> AsyncIterator[Panel]:
        panel = Panel()
        if limits is None:
            panel.reads.set()
        async with (
            channel_over(self.listener.connect(), limits=limits) as channel,
            trio.open_nursery() as nursery,
        ):
            untyped: Any = channel
            stub = DeviceServiceStub(untyped)
            for name in ("StatusStream", "EventStream", "ServerAudioStream"):
                await panel.attend(name, stub, device_id, nursery)
            yield panel
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving(drain_s: float = 0.0, limits: Limits | None = None) -> AsyncIterator[Serving]:
    server = Serving(drain_s, limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server
        nursery.cancel_scope.cancel()


async def test_a_server_without_devices_stops_at_once(autojump_clock: MockClock) -> None:
    async with serving() as server:
        server.stop.set()
        await trio.testing.wait_all_tasks_blocked()
        assert server.stopped_s == 0.0


async def test_stopping_ends_takes_and_then_calls(autojump_clock: MockClock) -> None:
    """The `is_end` is there at once, UNAVAILABLE after it, and then the server is gone."""
    async with serving() as server, server.device("one") as panel:
        await panel.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.sleep(2.0)
        server.stop.set()
        await trio.testing.wait_all_tasks_blocked()
        assert panel.heard[-1] == "cut."
        assert panel.ended == {}
        await trio.sleep(GRACE_S)
        assert set(panel.ended.values()) == {Status.UNAVAILABLE}
        assert await status_of(panel.calls["EventStream"]) is Status.UNAVAILABLE
        assert server.stopped_s is not None
        assert server.stopped_s < 2.0 + 1.5
        assert panel.heard.count("cut.") == 1


async def test_while_it_stops_nothing_starts(autojump_clock: MockClock) -> None:
    """Presses are acknowledged to the last, and no new device comes in."""
    async with serving() as server, server.device("one") as panel:
        await trio.sleep(2.0)
        server.stop.set()
        await trio.testing.wait_all_tasks_blocked()
        await panel.press(Button.PLAY)
        with pytest.raises(trio.BrokenResourceError):
            server.listener.connect()
        await trio.sleep(GRACE_S)
        assert panel.packets == []


async def test_a_device_that_does_not_read_delays_nobody_but_the_end(
    autojump_clock: MockClock,
) -> None:
    """The others are told at their time; the server is gone within its grace."""
    async with serving() as server:
        async with server.device("deaf", SMALL) as deaf, server.device("good") as good:
            for panel in (deaf, good):
                await panel.press(*[Button.MODE] * 3, Button.PLAY)
            await trio.sleep(5.0)
            server.stop.set()
            await trio.testing.wait_all_tasks_blocked()
            assert good.heard[-1] == "cut."
            await trio.sleep(TAKES_END_S + 1.0)
            await trio.testing.wait_all_tasks_blocked()
            assert set(good.ended.values()) == {Status.UNAVAILABLE}
            await trio.sleep(20.0)
        assert server.stopped_s is not None
        assert server.stopped_s <= 5.0 + GRACE_S + 2.0


async def test_who_reads_again_while_it_stops_hears_the_end_of_the_take(
    autojump_clock: MockClock,
) -> None:
    async with serving() as server, server.device("deaf", SMALL) as deaf:
        await deaf.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.sleep(5.0)
        server.stop.set()
        await trio.sleep(TAKES_END_S + 2.0)
        deaf.reads.set()
        await trio.sleep(GRACE_S)
        assert deaf.heard[-1] == "cut."
        assert deaf.ended["ServerAudioStream"] is Status.UNAVAILABLE


async def test_the_port_is_told_when_all_is_ready(tmp_path: Path) -> None:
    settings = Settings(port=0, clips=SHIPPED, cache=tmp_path)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_until, stop, settings))
        async with open_channel("127.0.0.1", port) as channel:
            untyped: Any = channel
            stub = DeviceServiceStub(untyped)
            async with stub.StatusStream.open(metadata={"device_id": "one"}) as call:
                request: Any = await call.recv_message()
                assert request.HasField("set")
        stop.set()
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream("127.0.0.1", port)


async def test_a_folder_without_clips_is_its_error(tmp_path: Path) -> None:
    settings = Settings(port=0, clips=tmp_path, cache=tmp_path)
    with pytest.raises(ClipError, match="no clips"):
        await serve_until(trio.Event(), settings)


async def test_a_port_that_is_taken_is_its_error(tmp_path: Path) -> None:
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    settings = Settings(port=taken.socket.getsockname()[1], clips=SHIPPED, cache=tmp_path)
    with pytest.raises(OSError, match="in use"):
        await serve_until(trio.Event(), settings)
    await taken.aclose()


async def test_a_second_signal_ends_all_at_once(logs: list[Any], tmp_path: Path) -> None:
    """The first one gives calls a second to settle; whoever is in a hurry asks twice."""
    port = free_port()
    settings = Settings(port=port, clips=SHIPPED, cache=tmp_path, data=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, settings)
        await _wait_logged(logs, "listening")
        async with open_channel("127.0.0.1", port) as channel:
            untyped: Any = channel
            stub = DeviceServiceStub(untyped)
            async with stub.StatusStream.open(metadata={"device_id": "one"}) as call:
                await call.recv_message()
                for event in ("stopping", "stopping at once"):
                    signal.raise_signal(signal.SIGTERM)
                    await _wait_logged(logs, event)
                assert await status_of(call) is Status.UNAVAILABLE
    assert "stopped" not in [line["event"] for line in logs]


def signalled(number: signal.Signals) -> Progress:
    """Has this process get a signal when the clips begin to be loaded."""

    def progress(done: int, total: int) -> None:
        if not done:
            signal.raise_signal(number)

    return progress


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_signal_while_clips_are_loaded_ends_it_at_once(
    workers: int, logs: list[Any], tmp_path: Path
) -> None:
    settings = Settings(port=0, clips=SHIPPED, cache=tmp_path, data=None, workers=workers)
    with trio.fail_after(60):
        await serve(settings, progress=signalled(signal.SIGTERM))
    assert [line["event"] for line in logs] == ["stopped before it served"]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_hangup_while_clips_are_loaded_has_them_read_again(
    workers: int, logs: list[Any], tmp_path: Path
) -> None:
    """By default it would end the process. A clip may have changed when it had been read."""
    settings = Settings(port=0, clips=SHIPPED, cache=tmp_path, data=None, workers=workers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, settings, progress=signalled(signal.SIGHUP)))
        await _wait_logged(logs, "clips reloaded")
        signal.raise_signal(signal.SIGTERM)
    events = [line["event"] for line in logs]
    assert events.index("listening") < events.index("clips reloaded") < events.index("stopped")
    assert events.count("clips reloaded") == 1


async def _wait_logged(logs: list[Any], event: str) -> None:
    with trio.fail_after(10.0):
        while event not in [line["event"] for line in logs]:  # noqa: ASYNC110
            await trio.sleep(0.01)  # a list cannot be waited for


async def test_limits_reach_connections_and_presses(tmp_path: Path) -> None:
    limits = LimitSettings(max_unauthenticated=1, presses=(1, 0.1))
    settings = Settings(port=0, clips=SHIPPED, cache=tmp_path, limits=limits)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve_until, trio.Event(), settings)
        async with open_channel("127.0.0.1", port) as channel:
            async with await trio.open_tcp_stream("127.0.0.1", port) as second:
                assert await second.receive_some() == b""
            panel, untyped = Panel(), cast(Any, channel)
            await panel.attend("EventStream", DeviceServiceStub(untyped), "one", nursery)
            await panel.press(Button.MODE)
            with trio.move_on_after(0.2) as waiting:
                await panel.press(Button.MODE)
            assert waiting.cancelled_caught
        nursery.cancel_scope.cancel()


def test_a_number_of_connections_that_is_asked_for_counts() -> None:
    settings = Settings(limits=LimitSettings(max_connections=50), max_devices=100)
    assert make_limits(settings).max_connections == 50


@pytest.mark.parametrize("limits", [LimitSettings(), LimitSettings(max_connections=50)])
def test_never_more_connections_than_files(limits: LimitSettings) -> None:
    settings = Settings(limits=limits, max_devices=100_000)
    assert make_limits(settings, most_connections=20).max_connections == 20


@pytest.mark.parametrize(("max_devices", "expected"), [(1, 10_000), (50_000, 50_000)])
def test_never_fewer_connections_than_devices(max_devices: int, expected: int) -> None:
    assert make_limits(Settings(max_devices=max_devices)).max_connections == expected
