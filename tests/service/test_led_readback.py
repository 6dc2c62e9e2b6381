"""`StatusStream`: when a device is asked what it shows, and what is made of the answer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import trio
from looking import STARTUP_S, WRONG, Tally, counted_home, rgb, the_device, warnings
from panel import SUCCESS, Panel, state_of
from service_home import Home, frame, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.device.instrumentation import Instrumentation, LedFault
from audio_server.device.led_readback import MOST, ROUND_S, STEP_S
from audio_server.device.telemetry import Telemetry
from audio_server.service.status_stream import ANSWER_S, UNANSWERED_MAX, StatusHandler
from audio_server.wire.comms_pb2 import DeviceStatus, DeviceStatusResponse
from audio_server.wire.leds import frame_leds


@pytest.fixture
def tally() -> Tally:
    return Tally()


# -- when it is asked


async def test_a_device_is_asked_after_startup_and_then_now_and_then(
    autojump_clock: MockClock,
) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(10 * ROUND_S)
    first_s, *later = panel.looks
    assert first_s == pytest.approx(STARTUP_S)
    gaps_s = [after - before for before, after in pairwise(later)]
    assert len(gaps_s) > 6
    assert gaps_s == pytest.approx([ROUND_S] * len(gaps_s))
    assert len(panel.frames) == 6  # five of the start-up sequence, and the state: nothing again


async def test_a_press_in_the_startup_sequence_brings_the_question_forward(
    autojump_clock: MockClock,
) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(0.5)
        await panel.press(Button.MODE)
        await trio.sleep(0.1)
    assert panel.looks == pytest.approx([0.5])


async def test_after_each_reconnect(autojump_clock: MockClock) -> None:
    async with open_home() as home:
        for _ in range(3):
            async with home.device() as panel:
                await trio.sleep(STARTUP_S + 0.1)
            assert len(panel.looks) == 1


async def test_many_devices_are_asked_evenly(autojump_clock: MockClock) -> None:
    """However they came; and never more at once than a step's worth."""
    async with open_home() as home, trio.open_nursery() as nursery:
        panels = [Panel() for _ in range(60)]
        for number, panel in enumerate(panels):
            stub = await nursery.start(_connected, home)
            await panel.attend("StatusStream", stub, str(number), nursery)
        await trio.sleep(3 * ROUND_S)
        nursery.cancel_scope.cancel()
    late = [at for panel in panels for at in panel.looks if ROUND_S < at < 2.9 * ROUND_S]
    counts = [sum(start <= at < start + 10.0 for at in late) for start in range(31, 70, 10)]
    assert counts == pytest.approx([20] * len(counts), abs=2)
    assert all(len(panel.looks) in (2, 3) for panel in panels)


async def _connected(home: Home, *, task_status: trio.TaskStatus[Any]) -> None:
    async with home.connect() as stub:
        task_status.started(stub)
        await trio.sleep_forever()


def test_the_cost_has_an_upper_bound() -> None:
    assert MOST / STEP_S == 100


async def test_a_device_that_never_answers_leaves_a_place_for_a_frame(
    autojump_clock: MockClock,
) -> None:
    async with open_home() as home, home.device(answer=None) as panel:
        await trio.sleep(10 * ROUND_S)
        assert len(panel.frames) + len(panel.looks) == UNANSWERED_MAX - 1
        await panel.press(Button.MODE)
        await trio.sleep(1.0)
    assert panel.shown == frame(1)


# -- what is known of it


async def test_a_frame_that_it_accepts_is_confirmed(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(2.0)
        panel.answer_s = 0.1
        await panel.press(Button.MODE, Button.MODE)
        await trio.sleep(0.05)
        assert rgb(the_device(home)) == [led >> 8 for led in frame(0)]
        await trio.sleep(0.2)
        assert rgb(the_device(home)) == [led >> 8 for led in frame(2)]


async def test_success_in_other_bytes_confirms_a_frame_too(autojump_clock: MockClock) -> None:
    """There is a field beside it that is not in the contract."""
    answer = DeviceStatusResponse.FromString(SUCCESS.SerializeToString() + b"\x78\x01")
    async with open_home() as home, home.device(answer=answer) as panel:
        panel.state = DeviceStatusResponse(state=DeviceStatus())  # looks confirm nothing
        await panel.press(Button.MODE)
        await trio.sleep(0.1)
        device = the_device(home)
        assert (device.report.leds, device.report.errors) == (frame(1), 0)


async def test_the_round_trip_is_smoothed(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        panel.answer_s = 0.08
        await trio.sleep(1.2)
        assert the_device(home).report.round_trip_s == pytest.approx(0.08)
        panel.answer_s = 0.16
        await panel.press(Button.CONNECT)
        await trio.sleep(0.2)
        assert the_device(home).report.round_trip_s == pytest.approx(0.09)


async def test_what_a_device_leaves_out_is_unknown(tally: Tally, autojump_clock: MockClock) -> None:
    """Unset buttons are not held, the battery is not empty, an LED is not black."""
    async with counted_home(tally) as home, home.device() as panel:
        panel.state = state_of((None, None, *frame(0)[2:]))
        await trio.sleep(ROUND_S)
        device = the_device(home)
        assert (device.report.leds, device.report.battery) == (frame(0), None)
        assert (device.buttons, tally.corrections) == ({}, 0)


@pytest.mark.parametrize(
    ("told", "known"), [(0.75, 0.75), (1.0, 1.0), (-1.0, None), (80.0, None), (float("nan"), None)]
)
async def test_a_battery_is_a_share(
    told: float, known: float | None, autojump_clock: MockClock
) -> None:
    async with open_home() as home, home.device() as panel:
        panel.state = state_of(frame(0), battery=told)
        await trio.sleep(STARTUP_S + 0.1)
        assert the_device(home).report.battery == known


@pytest.mark.parametrize("answer", [DeviceStatusResponse(), SUCCESS])
async def test_a_question_without_a_state_for_an_answer_says_nothing(
    answer: DeviceStatusResponse, tally: Tally, autojump_clock: MockClock
) -> None:
    """Nor do its answers to frames."""
    nothing = DeviceStatusResponse()
    async with counted_home(tally) as home, home.device(answer=nothing) as panel:
        panel.state = answer
        await trio.sleep(3 * ROUND_S)
        assert panel.looks
        assert the_device(home).report.leds is None
        assert (tally.corrections, tally.faults) == (0, [])


async def test_errors_are_told_and_counted(
    tally: Tally, logs: list[Any], autojump_clock: MockClock
) -> None:
    """A device that does not know the question is asked ever more rarely, and logged once."""
    async with counted_home(tally) as home, home.device() as panel:
        panel.state = DeviceStatusResponse(status="unknown request")
        await trio.sleep(20 * ROUND_S)
        report = the_device(home).report
        assert (report.errors, report.last_error) == (
            len(panel.looks),
            'refused a request for its LEDs: "unknown request" (expected its state)',
        )
        assert 4 <= len(panel.looks) <= 6
        assert set(tally.faults) == {LedFault.REFUSED}
    assert warnings(logs) == ["device refused a frame"]


async def test_a_late_answer_is_an_error(tally: Tally, autojump_clock: MockClock) -> None:
    async with counted_home(tally) as home, home.device(answer=None):
        await trio.sleep(ANSWER_S + 0.1)
        report = the_device(home).report
        assert (report.errors, report.last_error) == (1, "no answer within 5 s")


async def test_on_a_new_connection_what_it_shows_is_unknown(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        panel.draw = lambda leds: WRONG
        await trio.sleep(STARTUP_S + 0.1)
        async with home.device(calls=["EventStream"]):
            await trio.sleep(0.1)
            assert the_device(home).report == Telemetry(corrections=1)


# -- what is sent when there is room at last


class Road:
    """Stands for a call whose road is full until `open` is called."""

    def __init__(self) -> None:
        self.has_room = False
        self._do: Callable[[], None] | None = None
        self.scope = trio.CancelScope()
        self.sent: list[bytes] = []

    def when_quiet(self, do: Callable[[], None]) -> None:
        do()

    async def send_initial_metadata(self) -> None: ...

    def when_room(self, do: Callable[[], None] | None) -> None:
        self._do = do

    def open(self) -> None:
        self.has_room = True
        assert self._do is not None
        self._do()

    def send_alone(self, framed: bytes) -> None:
        self.sent.append(framed)

    async def recv_bytes(self, at_once: object) -> None:
        await trio.sleep_forever()


async def test_after_a_wait_for_room_the_newest_frame_is_sent(autojump_clock: MockClock) -> None:
    road: Any = Road()
    async with open_home() as home, home.device(calls=["EventStream"]) as panel:
        await panel.press(Button.MODE)
        with home.devices.attach_status("one", the_device(home).connection) as link:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(StatusHandler(road, link, Instrumentation()).run)
                await trio.sleep(0.1)
                await panel.press(Button.MODE, Button.MODE)
                road.open()
                await trio.sleep(0.1)
                nursery.cancel_scope.cancel()
    assert road.sent == [frame_leds(frame(3))]
