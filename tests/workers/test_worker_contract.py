"""The device contract across workers: a device that goes from one to another notices nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
from cluster import SECONDS, Cluster, open_cluster, stub_of
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from trio.testing import MockClock, wait_all_tasks_blocked
from worker_log import Log

from audio_server.cluster.socket import KEPT_S
from audio_server.device.behaviour import State
from audio_server.device.leds import leds
from audio_server.device.mode_store import MemoryModeStore
from audio_server.simulator.options import Options
from audio_server.simulator.script import parse_script
from audio_server.simulator.scripted import perform
from audio_server.wire.comms_pb2 import (
    AudioStreamRequest,
    ButtonEvent,
    DeviceEvent,
    DeviceStatusResponse,
)

OPTIONS = Options(device_id="den", tolerance_ms=20, modes=len(SECONDS))
MODE, STOP, PLAY = (
    DeviceEvent(button_event=ButtonEvent(button_id=button))  # type: ignore[arg-type]
    for button in (ButtonEvent.BUTTON_2, ButtonEvent.BUTTON_3, ButtonEvent.BUTTON_4)
)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with open_cluster() as cluster:
        yield cluster


class Device:
    """The three calls of one connection, which stays open when the device has moved."""

    def __init__(self, status: Any, events: Any, audio: Any) -> None:
        self.status, self.events, self.audio = status, events, audio

    async def press(self, *events: DeviceEvent) -> None:
        for event in events:
            await self.events.send_message(event)
            assert (await self.events.recv_message()).ack

    async def shows(self) -> tuple[int, ...]:
        """The next frame; a question for the LEDs gets an answer that says nothing."""
        while (request := await self.status.recv_message()).WhichOneof("request") == "get":
            await self.status.send_message(DeviceStatusResponse())
        await self.status.send_message(DeviceStatusResponse(status="success"))
        return tuple(getattr(request.set, f"led_{n}").rgba for n in range(6))

    async def settles(self) -> tuple[int, ...]:
        """The frame that it shows when nothing more comes."""
        frame: tuple[int, ...] = ()
        while True:
            with trio.move_on_after(2):
                frame = await self.shows()
                continue
            return frame


@asynccontextmanager
async def device_at(cluster: Cluster, worker: int, device_id: str = "x") -> AsyncIterator[Device]:
    metadata = {"device_id": device_id}
    async with cluster.open(worker) as channel:
        stub = stub_of(channel)
        async with (
            stub.StatusStream.open(metadata=metadata) as status,
            stub.EventStream.open(metadata=metadata) as events,
            stub.ServerAudioStream.open(metadata=metadata) as audio,
        ):
            await audio.send_message(AudioStreamRequest(start=True), end=True)
            yield Device(status, events, audio)


async def status_of(call: Any) -> Status:
    """How a call ended; what it still had is dropped."""
    try:
        while await call.recv_message() is not None:
            pass
    except GRPCError as error:
        return error.status
    return Status.OK


def shown(mode: int, *, playing: bool = False) -> tuple[int, ...]:
    return leds(State(mode, playing=mode if playing else None))


@pytest.mark.parametrize(
    "script",
    [
        "connect mode mode play wait:2 play wait:1 stop mode play wait:1 connect connect play",
        "connect mode play wait:1 reconnect wait:3 play wait:1 off wait:1 on wait:3",
        "connect mode reconnect mode reconnect mode reconnect wait:2 play reconnect wait:2 stop",
        "connect off mode mode on wait:2 off stop mode on wait:2 reconnect wait:2",
    ],
)
async def test_scripts(autojump_clock: MockClock, cluster: Cluster, script: str) -> None:
    (judged,) = await perform(OPTIONS, parse_script(script), open_channel=cluster.open_any)
    assert [str(violation) for violation in judged.violations] == []


async def test_devices_that_do_what_they_like(autojump_clock: MockClock) -> None:
    options = replace(OPTIONS, devices=6, seed=7)
    async with open_cluster(3) as cluster:
        fleet = await perform(
            options, parse_script("connect random:12"), open_channel=cluster.open_any
        )
    assert [str(violation) for judged in fleet for violation in judged.violations] == []
    assert sum(judged.report.connections for judged in fleet) > 20


async def test_a_device_that_moves_ends_its_calls_at_once_and_may_move_back(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    async with cluster.open(1) as channel, device_at(cluster, 1) as stays:
        await stays.press(MODE, PLAY)
        assert (await stays.audio.recv_message()).is_start
        await trio.sleep(3)
        moved_at = trio.current_time()
        async with device_at(cluster, 2) as moved:
            assert await moved.shows()
            for call in (stays.status, stays.events, stays.audio):
                assert await status_of(call) is Status.ABORTED
            assert trio.current_time() == moved_at
            assert await moved.settles() == shown(1)
            await moved.press(MODE)
            assert await moved.settles() == shown(2)
        again = stub_of(channel).StatusStream
        async with again.open(metadata={"device_id": "x"}) as call:
            assert await Device(call, None, None).settles() == shown(2)


async def test_calls_that_come_back_on_an_older_connection_win(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    """While the newer ones are still there."""
    async with cluster.open(1) as channel, device_at(cluster, 2) as newer:
        await newer.press(MODE)
        stub, metadata = stub_of(channel), {"device_id": "x"}
        async with stub.StatusStream.open(metadata=metadata) as status:
            assert await Device(status, None, None).settles() == shown(1)
            for call in (newer.status, newer.events, newer.audio):
                assert await status_of(call) is Status.ABORTED


async def test_calls_on_three_connections_to_the_same_worker(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    async with AsyncExitStack() as stack:
        calls = []
        for name in ("EventStream", "ServerAudioStream", "StatusStream"):
            stub = stub_of(await stack.enter_async_context(cluster.open(1)))
            call = getattr(stub, name).open(metadata={"device_id": "x"})
            calls.append(await stack.enter_async_context(call))
        events, audio, status = calls
        await audio.send_message(AudioStreamRequest(start=True), end=True)
        device = Device(status, events, audio)
        await device.press(MODE, PLAY)
        assert (await audio.recv_message()).is_start
        assert await device.settles() == shown(1, playing=True)
        async with device_at(cluster, 2) as moved:
            for call in calls:
                assert await status_of(call) is Status.ABORTED
            assert await moved.settles() == shown(1)


async def test_an_acknowledged_press_counts_however_soon_the_device_moves(
    autojump_clock: MockClock,
    cluster: Cluster,
) -> None:
    at, mode = 1, 0
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            await nursery.start(_press_and_stay, cluster, at)
            at, mode = 3 - at, (mode + 1) % len(SECONDS)
        assert cluster.time_s == 0
        async with device_at(cluster, at) as device:
            assert await device.settles() == shown(mode)
        nursery.cancel_scope.cancel()


async def _press_and_stay(
    cluster: Cluster, worker: int, *, task_status: trio.TaskStatus[None]
) -> None:
    async with device_at(cluster, worker) as device:
        await device.press(MODE)
        task_status.started()
        await trio.sleep_forever()


async def test_a_newer_connection_to_the_same_worker_takes_over_too(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    async with device_at(cluster, 1) as old, device_at(cluster, 2, "other") as other:
        await old.press(MODE, MODE, PLAY)
        await other.press(MODE)
        async with device_at(cluster, 1) as new:
            assert await new.settles() == shown(2)
            assert await status_of(old.audio) is Status.ABORTED
            assert await other.settles() == shown(1)


async def test_a_call_that_was_reset_before_it_was_served_moves_nobody(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    async with device_at(cluster, 1) as device:
        await device.press(MODE)
        async with cluster.open(2) as channel:
            async with stub_of(channel).StatusStream.open(metadata={"device_id": "x"}):
                pass
            await wait_all_tasks_blocked()
        await device.press(MODE)
        assert await device.settles() == shown(2)


async def test_a_call_that_is_reset_while_it_claims_harms_nobody(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    async with cluster.open(2) as channel:
        stub = stub_of(channel)
        async with stub.EventStream.open(metadata={"device_id": "x"}) as call:
            await trio.testing.wait_all_tasks_blocked()
            await call.cancel()
        async with stub.EventStream.open(metadata={"device_id": "x"}) as call:
            await call.send_message(MODE)
            assert (await call.recv_message()).ack


async def test_a_supervisor_that_does_not_run_stops_no_device(
    autojump_clock: MockClock, cluster: Cluster, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first press waits for it a little; later ones are acknowledged from memory."""
    async with device_at(cluster, 1) as device:
        await device.press(MODE)
        with monkeypatch.context() as patch:
            patch.setitem(cluster.workers[1].node._hearing, "mode", lambda *_: None)
            await device.press(MODE)
            assert cluster.time_s == pytest.approx(KEPT_S)
            await device.press(PLAY, MODE, STOP, MODE)
            assert cluster.time_s == pytest.approx(KEPT_S)
        assert await device.settles() == shown(1)
    assert [line["event"] for line in log.lines if line["level"] == "warning"] == [
        "modes are acknowledged from memory"
    ]


async def test_a_bad_id_is_refused_and_never_claimed(
    autojump_clock: MockClock, cluster: Cluster
) -> None:
    metadata = {"device_id": "no spaces"}
    async with (
        cluster.open(1) as channel,
        stub_of(channel).EventStream.open(metadata=metadata) as call,
    ):
        assert await status_of(call) is Status.INVALID_ARGUMENT


async def test_a_worker_drains_when_told_and_when_the_supervisor_is_gone(
    autojump_clock: MockClock,
    cluster: Cluster,
) -> None:
    first, second = cluster.workers.values()
    async with device_at(cluster, 1) as one, device_at(cluster, 2, "y") as two:
        for device in (one, two):
            await device.press(PLAY)
        first.stop.set()
        second.supervisor.cancel()
        for device in (one, two):
            packets = [await device.audio.recv_message()]
            while not packets[-1].is_end:
                packets.append(await device.audio.recv_message())
            assert packets[0].is_start
            assert await status_of(device.events) is Status.UNAVAILABLE
    await first.ended.wait()
    await second.ended.wait()


class SlowStore(MemoryModeStore):
    """Keeps modes after a second."""

    is_durable = True

    async def wait_durable(self, device_id: str) -> None:
        await trio.sleep(1)


async def test_a_press_waits_for_a_store_that_takes_time(autojump_clock: MockClock) -> None:
    store = SlowStore()
    async with open_cluster(store=store) as cluster, device_at(cluster, 1) as device:
        await device.press(PLAY)
        assert cluster.time_s == 0  # it does not change the mode
        await device.press(MODE)
        assert cluster.time_s == pytest.approx(1)
        assert store.get("x") == 1
