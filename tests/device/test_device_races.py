"""Things that happen in one and the same pass of the scheduler, in the order that hurts."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest
import trio
from fake_sink import FakeSink, make_clip
from kit import CLIPS, Connection, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import Action, Button, Rules, State
from audio_server.device.leds import STARTUP, leds
from audio_server.device.pace import Pace
from audio_server.device.playback import PlaybackFailed
from audio_server.device.player import Player
from audio_server.device.press_queue import Press
from audio_server.device.registry import Devices
from audio_server.device.timer_wheel import TimerWheel

MODE, PLAY, STOP = Button.MODE, Button.PLAY, Button.STOP


@pytest.fixture
def devices() -> Devices:
    """With a queue, because what is in it is the first to play unasked."""
    return Devices(CLIPS, Rules(len(CLIPS), play_while_playing="queue"), 0.3)


@pytest.fixture
async def nursery_of_requests(devices: Devices) -> AsyncIterator[trio.Nursery]:
    async with running(devices) as requests:
        yield requests


@pytest.fixture
def device(devices: Devices, nursery_of_requests: trio.Nursery) -> Connection:
    return Connection(devices, nursery_of_requests, 1)


@pytest.fixture
def newer(devices: Devices, nursery_of_requests: trio.Nursery) -> Connection:
    return Connection(devices, nursery_of_requests, 2)


# -- connecting


@pytest.mark.parametrize("passes", range(4))
async def test_a_press_that_comes_with_the_connection_ends_the_startup_sequence(
    devices: Devices, device: Connection, autojump_clock: MockClock, passes: int
) -> None:
    """Presses that were made off line follow the streams within a millisecond."""
    with devices.attach_status("x", 1), devices.attach_events("x", 1) as events:
        for _ in range(passes):
            await trio.lowlevel.checkpoint()
        await events.press(MODE, Action.PRESS)
        await wait_all_tasks_blocked()
        status = devices.by_id["x"].display.status
        assert status.greeting is None
        assert status.frame.leds == leds(State(1))
        await trio.sleep(2)
        assert devices.by_id["x"].display.status == status


@pytest.mark.parametrize("passes", range(4))
async def test_taken_over_with_the_connection_the_whole_sequence_runs(
    devices: Devices, device: Connection, autojump_clock: MockClock, passes: int
) -> None:
    with pytest.raises(Superseded), devices.attach_status("x", 1):  # noqa: PT012
        for _ in range(passes):
            await trio.lowlevel.checkpoint()
        with devices.attach_status("x", 2):
            await trio.lowlevel.checkpoint_if_cancelled()
    with devices.attach_status("x", 3):
        await trio.sleep(0.99)
        assert devices.by_id["x"].display.status.frame.leds == STARTUP[-1][1]
        await trio.sleep(0.02)
        assert devices.by_id["x"].display.status.frame.leds == leds(State())


async def test_taken_over_by_other_streams_the_older_sequence_does_not_go_on(
    device: Connection, newer: Connection, autojump_clock: MockClock
) -> None:
    await device.open_status()
    await device.open_audio()
    await newer.open_audio()
    assert newer.device.display.status.frame.leds == leds(State())
    await trio.sleep(0.5)
    assert newer.device.display.status.frame.leds == leds(State())


async def test_come_and_gone_at_once_it_leaves_no_task_behind(
    devices: Devices, device: Connection, autojump_clock: MockClock
) -> None:
    await wait_all_tasks_blocked()
    before = trio.lowlevel.current_statistics().tasks_living
    for number in range(20):
        with devices.attach_status("x", number):
            pass
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_presses_of_many_requests_at_once_are_all_applied(
    devices: Devices, device: Connection, autojump_clock: MockClock
) -> None:
    """Not from a stock device, which waits for every ack."""
    with devices.attach_events("x", 1) as events:
        async with trio.open_nursery() as presses:
            for _ in range(12):
                presses.start_soon(events.press, MODE, Action.PRESS)
        assert devices.by_id["x"].state.mode == 12 % 5


# -- taking over


@pytest.mark.parametrize("passes", range(4))
async def test_an_older_press_is_applied_before_the_take_over_or_never(
    devices: Devices, device: Connection, autojump_clock: MockClock, passes: int
) -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(Superseded), devices.attach_events("x", 1) as attachment:  # noqa: PT012
            await wait_all_tasks_blocked()
            nursery.start_soon(attachment.press, MODE, Action.PRESS)
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            with devices.attach_events("x", 2):
                mode = devices.by_id["x"].state.mode
                with trio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                assert devices.by_id["x"].state.mode == mode
        nursery.cancel_scope.cancel()


async def test_a_press_that_comes_with_the_last_end_changes_nothing_later(
    devices: Devices, device: Connection, autojump_clock: MockClock
) -> None:
    """The intake has been woken for it, and then the device ends before the intake runs."""
    with devices.attach_events("x", 1):
        await wait_all_tasks_blocked()
        devices.by_id["x"].press(Press(MODE, Action.PRESS, trio.Event()))
    for number in (2, 3):
        with devices.attach_events("x", number):
            await wait_all_tasks_blocked()
            assert devices.by_id["x"].state.mode == 0


async def test_a_play_on_a_newer_connection_never_sounds_on_the_older_stream(
    device: Connection, newer: Connection, autojump_clock: MockClock
) -> None:
    old = await device.open_audio()
    await device.open_events()
    await newer.press(PLAY)
    await trio.sleep(0.5)
    assert newer.state.playing == 0
    assert old.sink.flags == ""
    await trio.sleep(1)
    assert old.sink.flags == ""


async def test_released_to_another_worker_it_closes_at_once(
    devices: Devices, device: Connection, autojump_clock: MockClock
) -> None:
    audio = await device.open_audio()
    await device.press(PLAY)
    devices.release("x")
    assert audio.sink.flags == "S" + "m" * 14 + "E"
    assert not devices.by_id
    await wait_all_tasks_blocked()
    assert isinstance(audio.ended_by, Superseded)
    assert str(audio.ended_by) == Superseded.ELSEWHERE
    with devices.attach_events("x", 1):
        assert list(devices.by_id) == ["x"]


# -- streams


async def test_on_a_stream_that_takes_the_place_of_another_the_queue_does_not_play(
    device: Connection, autojump_clock: MockClock
) -> None:
    await device.open_audio()
    await device.press(PLAY, PLAY, PLAY)
    audio = await device.open_audio()
    assert device.state == State()
    await trio.sleep(5)
    assert audio.sink.flags == ""


async def test_end_takes_does_not_wait_for_a_stalled_stream_that_is_lost(
    devices: Devices, device: Connection, autojump_clock: MockClock
) -> None:
    audio = await device.open_audio()
    await device.press(PLAY)
    audio.sink.give(-math.inf)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(devices.end_takes)
        await trio.sleep(1)
        await audio.drop()
    assert trio.current_time() == 1


# -- the player


async def test_a_play_in_the_tick_in_which_the_sound_ends_is_not_taken_for_its_end(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    timer_wheel, sink = TimerWheel(), FakeSink()
    player = Player(Pace(0.3), timer_wheel)
    ends: list[tuple[float, PlaybackFailed | None]] = []
    nursery.start_soon(timer_wheel.run)
    nursery.start_soon(player.run, lambda failure: ends.append((trio.current_time(), failure)))
    player.plug(sink)
    player.start(make_clip(50))

    def press(_now: float) -> None:
        player.start(make_clip(100))

    await wait_all_tasks_blocked()
    async with trio.open_nursery() as presses:
        for _ in range(2):  # served before the end of the take, and after it
            presses.start_soon(timer_wheel.drive, 1.0, press)
    await trio.sleep(0.5)
    assert player.position() is not None
    await trio.sleep(5)
    assert [failure for _, failure in ends] == [None]
    assert ends[0][0] == pytest.approx(3)
    assert sink.flags[-100:] == "S" + "m" * 98 + "E"


async def test_the_first_packets_go_out_with_the_play_itself(autojump_clock: MockClock) -> None:
    """No task has to run for them: that is when a user feels a delay."""
    sink = FakeSink()
    player = Player(Pace(0.3), TimerWheel())
    player.plug(sink)
    player.start(make_clip(50))
    assert sink.flags == "S" + "m" * 14
    player.start(make_clip(50))
    assert sink.flags == "S" + "m" * 14 + "E" + "S" + "m" * 14
    player.cut()
    assert sink.flags.endswith("E")
