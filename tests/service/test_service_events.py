"""`EventStream`: one acknowledgement an event, when the event has been applied."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status
from panel import event_of, send_bytes, status_of
from service_home import FIVE, frame, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Action, Button, Rules, State
from audio_server.device.mode_store import MemoryModeStore
from audio_server.device.registry import Devices
from audio_server.wire.comms_pb2 import ButtonEvent, DeviceEvent


class SlowStore(MemoryModeStore):
    """Takes a quarter of a second to keep a mode."""

    is_durable = True

    def __init__(self) -> None:
        super().__init__()
        self._unkept: set[str] = set()

    def put(self, device_id: str, mode: int) -> None:
        super().put(device_id, mode)
        self._unkept.add(device_id)

    async def wait_durable(self, device_id: str) -> None:
        if device_id in self._unkept:
            await trio.sleep(0.25)
            self._unkept.discard(device_id)


def slow_devices() -> Devices:
    return Devices(FIVE, Rules(len(FIVE)), 0.3, store=SlowStore())


async def test_an_ack_says_that_it_has_been_applied(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        for mode in (1, 2, 3, 4, 0, 1):
            await panel.press(Button.MODE)
            assert home.devices.by_id["one"].state == State(mode)
        assert trio.current_time() == 0.0


async def test_an_ack_waits_until_the_mode_is_kept(autojump_clock: MockClock) -> None:
    async with open_home(devices=slow_devices()) as home, home.device() as panel:
        await panel.press(Button.MODE)
        assert trio.current_time() == 0.25


async def test_a_press_that_selects_no_mode_waits_for_no_store(autojump_clock: MockClock) -> None:
    async with open_home(devices=slow_devices()) as home, home.device() as panel:
        await panel.press(Button.PLAY, Button.CONNECT, Button.STOP, Button.PLAY)
        assert home.devices.by_id["one"].state == State(0, playing=0)
        assert trio.current_time() == 0.0


async def test_presses_that_wait_and_those_that_do_not_keep_their_order(
    autojump_clock: MockClock,
) -> None:
    """A device that does not wait for its acks."""
    async with open_home(devices=slow_devices()) as home, home.connect() as stub:
        async with stub.EventStream.open(metadata={"device_id": "one"}) as call:
            for button in (Button.MODE, Button.PLAY, Button.MODE, Button.STOP, Button.MODE):
                await call.send_message(event_of(button))
            await call.end()
            assert [reply.ack async for reply in call] == [True] * 5
            assert trio.current_time() >= 4 * 0.25
        async with home.device(calls=["StatusStream"]) as panel:
            await trio.sleep(2.0)
    assert panel.shown == frame(1)


async def test_no_task_is_woken_for_a_press_that_need_not_wait(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.CONNECT)
        await trio.sleep(0.1)
        woken = Woken("call", "device", "status", "audio")
        trio.lowlevel.add_instrument(woken)
        await panel.press(Button.MODE, Button.PLAY, Button.PLAY, Button.STOP, Button.PLAY)
        await trio.sleep(0.1)
        trio.lowlevel.remove_instrument(woken)
        assert woken.names == []
        assert home.devices.by_id["one"].state == State(0, playing=0)


class Woken(trio.abc.Instrument):
    """Which of some tasks ran, by name."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self.names: list[str] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task.name in self._names:
            self.names.append(task.name)


@pytest.mark.parametrize("event", [DeviceEvent(), DeviceEvent.FromString(b"\x12\x00")])
async def test_an_event_that_says_nothing_is_refused(
    event: DeviceEvent, autojump_clock: MockClock
) -> None:
    """Its oneof is unset, be it that there is a field which is not in the contract."""
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.MODE)
        before = home.devices.by_id["one"].display.status
        assert await panel.send(event) is False
        assert home.devices.by_id["one"].display.status == before


async def test_an_empty_button_event_is_a_press_of_button_1(autojump_clock: MockClock) -> None:
    """All its fields have their first values, but the oneof is set."""
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.MODE)
        await trio.sleep(0.1)
        assert await panel.send(DeviceEvent(button_event=ButtonEvent()))
        await trio.sleep(0.1)
    assert [leds for _, leds in panel.frames[-2:]] == [frame(1), frame(1)]


@pytest.mark.parametrize("field", [b"\x08\x09", b"\x10\x09"])
async def test_a_button_or_action_that_is_not_known_is_acked(
    field: bytes, autojump_clock: MockClock
) -> None:
    event = DeviceEvent(button_event=ButtonEvent.FromString(field))
    async with open_home() as home, home.device() as panel:
        assert await panel.send(event)
        assert home.devices.by_id["one"].state == State(0)


@pytest.mark.parametrize(
    "message",
    [b"\x0a\x04\x08\x01\x10\x00", b"\x0a\x04\x10\x00\x08\x01", b"\x0a\x05\x08\x01\x98\x06\x01"],
    ids=["the value 0 is said", "in another order", "a field that is not in the contract"],
)
async def test_a_press_in_other_bytes_is_one_too(message: bytes, autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await send_bytes(panel.calls["EventStream"], message)
        assert (await panel.calls["EventStream"].recv_message()).ack
        assert home.devices.by_id["one"].state == State(1)


@pytest.mark.parametrize("name", ["EventStream", "StatusStream"])
async def test_what_cannot_be_decoded_ends_its_call_alone(
    name: str, autojump_clock: MockClock
) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(2.0)  # the status call is asked nothing now
        await send_bytes(panel.calls[name], b"\xff")
        await trio.sleep(0.1)
        with trio.fail_after(1):
            assert await status_of(panel.calls[name]) is Status.INTERNAL
        assert len(home.devices.by_id["one"].attachments) == 2


async def test_hold_and_release_are_button_state(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.STOP, action=Action.HOLD)
        await panel.press(Button.PLAY, action=Action.RELEASE)
        device = home.devices.by_id["one"]
        assert device.buttons == {Button.STOP: Action.HOLD, Button.PLAY: Action.RELEASE}
        assert device.state == State(0)


async def test_events_before_the_end_are_all_answered(autojump_clock: MockClock) -> None:
    """A device that does not wait for acks, and ends its side at once."""
    async with open_home() as home, home.connect() as stub:
        async with stub.EventStream.open(metadata={"device_id": "one"}) as call:
            for button in (Button.MODE, None, Button.MODE):
                await call.send_message(DeviceEvent() if button is None else event_of(button))
            await call.end()
            assert [reply.ack async for reply in call] == [True, False, True]
        async with home.device(calls=["StatusStream"]) as panel:
            await trio.sleep(2.0)
    assert panel.shown == frame(2)


async def test_an_event_call_that_is_cancelled_leaves_the_others(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.PLAY)
        await panel.calls["EventStream"].cancel()
        await trio.sleep(2.0)
        assert panel.ended == {}
        assert panel.heard[-1] == "0:49."
        assert panel.shown == frame(0)


async def test_a_call_without_a_device_makes_no_state(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.connect() as stub:
        for ids in ([], ["a", "b"], ["x" * 65], ["a b"]):
            metadata = [("device_id", device_id) for device_id in ids]
            for method in (stub.StatusStream, stub.EventStream, stub.ServerAudioStream):
                async with method.open(metadata=metadata) as call:
                    assert await status_of(call) is Status.INVALID_ARGUMENT
        await trio.testing.wait_all_tasks_blocked()
        assert dict(home.devices.by_id) == {}
