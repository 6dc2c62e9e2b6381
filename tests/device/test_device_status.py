"""What a device shows: the start-up sequence, its state, and every frame that is worth sending."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from fake_sink import FakeSink
from kit import CLIPS, Connection, StatusRequest, next_frame, running
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.attachment import DeviceFailed
from audio_server.device.behaviour import Action, Button, DefaultBehaviour, Rules, State
from audio_server.device.leds import IDLE, PLAYING, STARTUP, Frame, LedFrame, leds
from audio_server.device.registry import Devices
from audio_server.device.telemetry import Telemetry


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
    async with running(devices) as requests:
        yield Connection(devices, requests, 1)


def later(connection: Connection, number: int) -> Connection:
    return Connection(connection._devices, connection._nursery, number)


def sequence(begin_s: float) -> list[tuple[float, Frame]]:
    """When which frame of the start-up sequence is due."""
    due, frames = begin_s, []
    for shown_s, frame in STARTUP:
        frames.append((pytest.approx(due), frame))
        due += shown_s
    return frames  # type: ignore[return-value]


def timed(status: StatusRequest) -> list[tuple[float, Frame]]:
    return [(at_s, frame.leds) for at_s, frame in status.frames]


async def test_at_connect_the_startup_sequence_runs_and_then_the_state_shows(
    connection: Connection, autojump_clock: MockClock
) -> None:
    await trio.sleep(3)
    status = await connection.open_status()
    await trio.sleep(5)
    assert timed(status) == [*sequence(3), (pytest.approx(4), leds(State()))]


@pytest.mark.parametrize("press_s", [0, 0.1, 0.2, 0.99])
async def test_a_press_ends_the_startup_sequence(
    connection: Connection, autojump_clock: MockClock, press_s: float
) -> None:
    status = await connection.open_status()
    await trio.sleep_until(press_s)
    await connection.press(Button.STOP)
    await trio.sleep(3)
    at_s, frame = status.frames[-1]
    assert at_s == pytest.approx(press_s)
    assert frame.leds == leds(State())


async def test_hold_and_release_do_not_end_it_but_are_remembered(
    connection: Connection, autojump_clock: MockClock
) -> None:
    status = await connection.open_status()
    await connection.press(Button.PLAY, action=Action.HOLD)
    await connection.press(Button.STOP, action=Action.RELEASE)
    assert status.shown.leds == STARTUP[0][1]
    assert connection.device.buttons == {Button.PLAY: Action.HOLD, Button.STOP: Action.RELEASE}
    await trio.sleep(2)
    assert timed(status) == [*sequence(0), (pytest.approx(1), leds(State()))]


async def test_a_status_stream_that_comes_after_a_press_shows_the_state(
    connection: Connection, autojump_clock: MockClock
) -> None:
    await connection.press(Button.MODE)
    status = await connection.open_status()
    assert timed(status) == [(0, leds(State(1)))]


async def test_a_status_stream_opened_again_shows_the_state(
    connection: Connection, autojump_clock: MockClock
) -> None:
    await connection.open_events()
    await (await connection.open_status()).drop()
    await trio.sleep(2)
    assert timed(await connection.open_status()) == [(2, leds(State()))]


@pytest.mark.parametrize("after_s", [0.1, 0.5, 7])
async def test_a_newer_connection_is_greeted_with_the_whole_sequence_again(
    connection: Connection, autojump_clock: MockClock, after_s: float
) -> None:
    await connection.open_status()
    await trio.sleep(after_s)
    status = await later(connection, 2).open_status()
    await trio.sleep(3)
    expected = [*sequence(after_s), (pytest.approx(after_s + 1), leds(State()))]
    assert timed(status) == expected


async def test_a_take_that_ends_during_the_sequence_shows_after_it(
    connection: Connection, autojump_clock: MockClock
) -> None:
    """The stream is lost while the sequence runs, which takes no press to happen."""
    await connection.open_status()
    audio = await later(connection, 3).open_audio()
    await later(connection, 3).press(Button.PLAY)
    status = await later(connection, 2).open_status()
    await audio.drop()
    await trio.sleep(2)
    assert timed(status) == [*sequence(0), (pytest.approx(1), leds(State()))]


async def test_every_press_shows_at_once(connection: Connection, autojump_clock: MockClock) -> None:
    await connection.open_audio()
    status = await connection.open_status()
    await trio.sleep(2)
    await connection.press(Button.MODE)
    assert timed(status)[-1] == (2, leds(State(1)))
    await connection.press(Button.PLAY)
    assert timed(status)[-1] == (2, leds(State(1, playing=1)))
    assert status.shown.leds[1] == PLAYING


async def test_playing_ends_when_the_sound_has_ended(
    connection: Connection, autojump_clock: MockClock
) -> None:
    await connection.open_audio()
    status = await connection.open_status()
    await trio.sleep(2)
    await connection.press(Button.PLAY)
    await trio.sleep(5)
    assert timed(status)[-2:] == [
        (2, leds(State(playing=0))),
        (pytest.approx(3), leds(State())),
    ]
    assert status.shown.leds[1] == IDLE


async def test_connect_sends_the_same_frame_again(
    connection: Connection, autojump_clock: MockClock
) -> None:
    status = await connection.open_status()
    await trio.sleep(2)
    shown = status.shown
    await connection.press(Button.CONNECT)
    assert status.shown == LedFrame(shown.leds, shown.serial + 1)


async def test_what_changes_nothing_sends_nothing(
    connection: Connection, autojump_clock: MockClock
) -> None:
    status = await connection.open_status()
    await trio.sleep(2)
    count = len(status.frames)
    await connection.press(Button.STOP)
    await connection.press(Button.PLAY, action=Action.RELEASE)
    assert len(status.frames) == count


async def test_a_slow_device_gets_the_newest_frame_and_no_backlog(
    connection: Connection, autojump_clock: MockClock
) -> None:
    await connection.press(Button.MODE)
    with connection._devices.attach_status("x", 1) as attachment:
        first = await next_frame(attachment, None)
        await connection.press(Button.MODE, Button.MODE)
        assert (await next_frame(attachment, first)).leds == leds(State(3))


async def test_a_frame_that_came_back_to_what_is_shown_is_not_sent(
    connection: Connection, autojump_clock: MockClock
) -> None:
    status = await connection.open_status()
    await connection.press(Button.MODE)
    count = len(status.frames)
    await connection.press(*[Button.MODE] * 4, Button.STOP, Button.MODE)
    assert status.shown.leds == leds(State(1))
    assert len(status.frames) > count  # this device is quick; the slow one is next
    with connection._devices.attach_status("x", 1) as attachment:
        first = await next_frame(attachment, None)
        await connection.press(Button.STOP, Button.MODE)
        with trio.move_on_after(1) as scope:
            await next_frame(attachment, first)
    assert scope.cancelled_caught


async def test_a_cancelled_wait_for_a_frame_loses_nothing(
    connection: Connection, autojump_clock: MockClock
) -> None:
    await connection.press(Button.MODE)
    with connection._devices.attach_status("x", 1) as attachment:
        first = await next_frame(attachment, None)
        with trio.move_on_after(1):
            await next_frame(attachment, first)
        await connection.press(Button.MODE)
        assert (await next_frame(attachment, first)).leds == leds(State(2))


async def test_what_a_device_says_of_itself_is_kept(
    connection: Connection, autojump_clock: MockClock
) -> None:
    status = await connection.open_status()
    device = connection.device
    assert device.report == Telemetry(leds=None, battery=None)
    status.attachment.report(Telemetry(leds=STARTUP[0][1], battery=0.5))
    assert device.report.battery == 0.5
    assert device.since == 0
    await wait_all_tasks_blocked()


async def test_what_was_on_its_way_when_a_stream_ended_says_nothing(
    connection: Connection, autojump_clock: MockClock
) -> None:
    old = await connection.open_status()
    newer = later(connection, 2)
    await connection.open_audio()
    with connection._devices.attach_audio("x", 2, FakeSink()):
        old.attachment.report(old.attachment.known.answered(0.1, STARTUP[0][1], 0.5))
        assert newer.device.report == Telemetry(leds=None, battery=None)
        new = await newer.open_status()
        await newer.open_status()
        new.attachment.report(new.attachment.known.erred("this stream was opened again"))
        assert newer.device.report.errors == 0


class Colourless(DefaultBehaviour):
    def leds(self, state: State) -> Frame:
        if trio.current_time() > 0.5:
            raise ValueError("no colours")
        return super().leds(state)


async def test_a_sequence_that_cannot_end_ends_its_device(autojump_clock: MockClock) -> None:
    devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3, behaviour=Colourless())
    async with running(devices) as requests:
        status = await Connection(devices, requests, 1).open_status()
        await trio.sleep(0.9)
        assert status.ended_by is None
        with capture_logs() as logs:
            await trio.sleep(0.2)
        assert isinstance(status.ended_by, DeviceFailed)
        assert [line["event"] for line in logs] == ["device failed"]
        assert not devices.by_id
