"""Audio streams that come late, go, stall, or are opened again."""

from __future__ import annotations

import math

import pytest
import structlog
import trio
from fake_sink import FakeSink
from kit import connected, heard
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.behaviour import Button, State

PLAY, STOP, MODE, CONNECT = Button.PLAY, Button.STOP, Button.MODE, Button.CONNECT


@pytest.mark.parametrize("late_s", [0, 0.5, 0.99])
async def test_a_press_waits_for_the_audio_stream(autojump_clock: MockClock, late_s: float) -> None:
    async with connected() as device:
        await device.press(MODE, PLAY)
        await trio.sleep(late_s)
        audio = await device.open_audio()
        assert device.state.playing == 1
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip1 100"]
        assert audio.sink.packets[0].at_s == pytest.approx(late_s)


async def test_without_an_audio_stream_in_time_nothing_plays(autojump_clock: MockClock) -> None:
    async with connected() as device:
        with structlog.testing.capture_logs() as logs:
            await device.press(PLAY)
            await trio.sleep(1.01)
        assert device.state == State(error=True)
        assert [entry["device"] for entry in logs] == ["x"]
        audio = await device.open_audio()
        await trio.sleep(5)
        assert audio.sink.flags == ""
        await device.press(CONNECT)
        assert device.state == State()


async def test_stop_while_it_waits_for_the_stream_plays_nothing(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(STOP)
        audio = await device.open_audio()
        await trio.sleep(5)
        assert audio.sink.flags == ""
        assert device.state == State()


async def test_when_the_stream_is_lost_nothing_resumes(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(MODE, PLAY, PLAY)
        await trio.sleep(0.5)
        await audio.drop()
        assert device.state == State(1)
        again = await device.open_audio()
        await trio.sleep(5)
        assert again.sink.flags == ""
        await device.press(PLAY)
        assert again.sink.flags == "S" + "m" * 14


async def test_a_stream_opened_again_takes_the_place_of_the_old_one(
    autojump_clock: MockClock,
) -> None:
    async with connected() as device:
        old = await device.open_audio()
        await device.press(PLAY)
        new = await device.open_audio()
        assert old.ended_by is not None
        assert old.sink.flags == "S" + "m" * 14 + "E"
        assert device.state == State()
        await device.press(PLAY)
        await trio.sleep(2)
        assert heard(new.sink) == ["clip0 50"]
        assert len(old.sink.packets) == 16


# -- stalls


async def test_a_cut_without_room_goes_out_when_the_device_reads_again(
    autojump_clock: MockClock,
) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        audio.sink.give(-math.inf)
        await device.press(STOP)
        assert device.state == State()
        await trio.sleep(100)
        assert audio.sink.flags == "S" + "m" * 14
        audio.sink.give(math.inf)
        await wait_all_tasks_blocked()
        assert heard(audio.sink) == ["clip0 16 cut"]


async def test_a_play_behind_it_waits_for_it(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        audio.sink.give(-math.inf)
        await device.press(STOP, PLAY, MODE, PLAY)
        await trio.sleep(5)
        audio.sink.give(math.inf)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 16 cut", "clip1 100"]


async def test_a_stall_of_thirty_seconds_ends_in_idle(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(PLAY, PLAY)
        audio.sink.give(-math.inf)
        with structlog.testing.capture_logs() as logs:
            await trio.sleep(30.2)
            assert device.state.playing == 0
            await trio.sleep(0.1)
        assert device.state == State()
        assert len(logs) == 1
        audio.sink.give(math.inf)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 16 cut"]


async def test_presses_are_applied_while_audio_stalls(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_audio(FakeSink(-math.inf))
        with trio.fail_after(0.001):
            await device.press(PLAY, MODE, STOP, MODE, MODE, PLAY)
        assert device.state == State(2, playing=2)
