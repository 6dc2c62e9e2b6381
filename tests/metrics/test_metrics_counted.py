"""What devices do, and what the numbers say of it afterwards; in exact time."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio
from counted import MODE, PLAY, STOP, House, open_house
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.assembly import measuring
from audio_server.clips.clip import Clip
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.rpc.limits import Limits
from audio_server.service.status_stream import ANSWER_S
from audio_server.wire.comms_pb2 import AudioPacket, DeviceStatusResponse

EVENTS = "com.opalcamera.test.DeviceService/EventStream"
PACKET_BYTES = 100


def takes(context: House) -> dict[str, float]:
    """The outcomes that there were."""
    read = context.read
    outcomes = ("ended", "cut", "lost", "failed")
    counts = {outcome: read("takes_total", outcome=outcome) for outcome in outcomes}
    return {outcome: count for outcome, count in counts.items() if count}


# -- devices


async def test_devices_come_and_go(autojump_clock: MockClock) -> None:
    async with open_house() as context:
        async with context.device("one"), context.device("two"):
            assert context.read("devices_connected") == 2
        read = context.read
    assert (read("devices_connected"), read("device_arrivals_total")) == (0, 2)
    assert read("device_reconnects_total") == 0


async def test_a_device_comes_back(autojump_clock: MockClock) -> None:
    async with open_house() as context:
        for _ in range(3):
            async with context.device():
                pass
        read = context.read
    assert (read("device_arrivals_total"), read("device_reconnects_total")) == (3, 2)
    assert read("device_takeovers_total") == 0


async def test_a_device_takes_over(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.device(), context.device():
        read = context.read
        assert (read("devices_connected"), read("device_arrivals_total")) == (1, 1)
        assert (read("device_reconnects_total"), read("device_takeovers_total")) == (1, 1)


async def test_a_device_that_moves_to_another_worker(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.device():
        context.devices.release("one")
        await wait_all_tasks_blocked()
        read = context.read
    assert (read("devices_connected"), read("device_takeovers_total")) == (0, 1)


# -- takes


async def test_a_take_ends_by_itself(autojump_clock: MockClock) -> None:
    async with open_house(100) as context, context.device() as device, device.listening():
        await device.press(PLAY)
        await trio.sleep(1)
        assert (context.read("devices_playing"), takes(context)) == (1, {})
        await trio.sleep(1.1)
        read = context.read
        assert (read("devices_playing"), takes(context)) == (0, {"ended": 1})
    assert read("sound_packets_total") == 100
    assert read("sound_bytes_total") > 100 * PACKET_BYTES
    assert read("refill_lateness_seconds_count") > 4
    assert read("refill_lateness_seconds_sum") == pytest.approx(0, abs=1e-6)


async def test_presses_cut_takes(autojump_clock: MockClock) -> None:
    async with open_house(100) as context, context.device() as device, device.listening():
        await device.press(PLAY, MODE, STOP, PLAY, PLAY, STOP)
        assert (context.read("devices_playing"), takes(context)) == (0, {"cut": 3})


async def test_a_shutdown_cuts_takes(autojump_clock: MockClock) -> None:
    async with open_house(100) as context, context.device() as device, device.listening():
        await device.press(PLAY)
        await context.devices.end_takes()
        assert takes(context) == {"cut": 1}


async def test_a_lost_stream_loses_its_take(autojump_clock: MockClock) -> None:
    async with open_house(100) as context, context.device() as device:
        async with device.listening():
            await device.press(PLAY)
        await wait_all_tasks_blocked()
        assert takes(context) == {"lost": 1}


async def test_a_lost_device_loses_its_take(autojump_clock: MockClock) -> None:
    async with open_house(100) as context:
        async with context.device() as device, device.listening():
            await device.press(PLAY)
        assert (context.read("devices_playing"), takes(context)) == (0, {"lost": 1})


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_device_that_is_taken_over_loses_its_take(
    elsewhere: bool, autojump_clock: MockClock
) -> None:
    async with open_house(100) as context, context.device() as device, AsyncExitStack() as stack:
        await stack.enter_async_context(device.listening())
        await device.press(PLAY)
        if elsewhere:
            context.devices.release("one")
        else:
            await stack.enter_async_context(context.device())
        await wait_all_tasks_blocked()
        assert (context.read("devices_playing"), takes(context)) == (0, {"lost": 1})


async def test_without_a_stream_a_take_fails(autojump_clock: MockClock) -> None:
    async with open_house(100) as context, context.device() as device:
        await device.press(PLAY)
        await trio.sleep(2)
        assert takes(context) == {"failed": 1}


async def test_a_clip_that_cannot_be_read_fails(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError

    async with open_house(100) as context, context.device() as device, device.listening():
        with monkeypatch.context() as patched:
            patched.setattr(Clip, "slice", refuse)
            await device.press(PLAY)
            await wait_all_tasks_blocked()
        assert (context.read("devices_playing"), takes(context)) == (0, {"failed": 1})


async def test_devices_that_cannot_play_are_counted_in_all_processes(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError

    shared_registry = SharedRegistry(workers=1)
    async with (
        open_house(100) as context,
        context.device() as device,
        device.listening(),
        measuring(context.devices, shared_registry.row(0)),
        measuring(context.devices, shared_registry.row(1)),
    ):
        monkeypatch.setattr(Clip, "slice", refuse)
        await device.press(PLAY)
        await trio.sleep(1.1)
        assert shared_registry.devices() == (0, 0, 2)
        await device.press(STOP)
        await trio.sleep(1.1)
        assert shared_registry.devices() == (0, 0, 0)


# -- presses and LEDs


async def test_a_press_is_timed(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.device() as device:
        await device.press(MODE)
        read = context.read
    assert read("press_ack_seconds_count") == 2
    assert read("press_ack_seconds_bucket", le="0.0005") == 2


async def test_a_device_that_refuses_leds(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.device() as device, trio.open_nursery() as nursery:
        nursery.start_soon(device.show, DeviceStatusResponse(status="no"))
        await trio.sleep(2)
        assert context.read("led_faults_total", fault="refused") >= 1
        assert context.read("led_faults_total", fault="late") == 0
        nursery.cancel_scope.cancel()


async def test_a_device_that_does_not_answer(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.device() as device, trio.open_nursery() as nursery:
        nursery.start_soon(device.show, None)
        await trio.sleep(ANSWER_S + 0.1)
        assert context.read("led_faults_total", fault="late") == 1
        nursery.cancel_scope.cancel()


# -- connections and calls


async def test_calls(autojump_clock: MockClock) -> None:
    async with open_house() as context:
        async with context.device():
            assert context.read("calls_open", method=EVENTS) == 1
        read = context.read
    assert read("calls_open", method=EVENTS) == 0
    assert read("calls_total", method=EVENTS, code="CANCELLED") == 1


async def test_a_call_without_an_id_is_seen_by_its_status(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.channel() as channel:
        with pytest.raises(GRPCError):
            await ask(channel, f"/{EVENTS}")
        assert context.read("calls_total", method=EVENTS, code="INVALID_ARGUMENT") == 1


async def test_requests_that_come_to_no_handler(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.channel(Limits(max_metadata_bytes=600)) as channel:
        with pytest.raises(GRPCError) as caught:
            await ask(channel, "/no.Such/Method")
        assert caught.value.status is Status.UNIMPLEMENTED
        with pytest.raises(GRPCError) as caught:
            await ask(channel, f"/{EVENTS}", much="x" * 600)
        assert caught.value.status is Status.RESOURCE_EXHAUSTED
        read = context.read
    assert read("requests_refused_total", reason="unknown_method") == 1
    assert read("requests_refused_total", reason="too_large") == 1
    assert read.total("calls_total") == 0


async def test_too_many_calls(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.channel(Limits(max_streams=1)) as channel:
        async with channel.request(f"/{EVENTS}", *KIND, metadata={"device_id": "one"}):
            with pytest.raises(GRPCError):
                await ask(channel, f"/{EVENTS}")
        read = context.read
    assert read("requests_refused_total", reason="too_many_calls") == 1


async def test_a_connection_that_is_idle_is_dropped(autojump_clock: MockClock) -> None:
    async with open_house() as context, context.channel():
        await trio.sleep(Limits().idle_s + 1)
        assert context.read("connections_dropped_total", reason="idle") == 1


KIND = (Cardinality.STREAM_STREAM, AudioPacket, AudioPacket)


async def ask(channel, path: str, **metadata: str) -> None:
    """Call a method without a word; raises its status."""
    async with channel.request(path, *KIND, metadata=metadata) as call:
        await call.end()
        await call.recv_message()
