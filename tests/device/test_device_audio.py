"""What a device plays, on which stream, and what becomes of it when things go wrong."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
import trio
from fake_outlet import FakeOutlet, is_grammatical
from kit import CLIPS, Connection, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.clips.clip import Clip
from audio_server.device.devices import Devices
from audio_server.device.rules import Action, Button, Rules, State
from audio_server.wire.audio import SILENCE

PLAY, STOP, MODE, CONNECT = Button.PLAY, Button.STOP, Button.MODE, Button.CONNECT


@asynccontextmanager
async def connected(clips: Any = CLIPS, **settings: Any) -> AsyncIterator[Connection]:
    """One connection to devices of its own. The settings are those of the rules."""
    devices = Devices(clips, Rules(len(clips), **settings), 0.3)
    async with running(devices) as requests:
        yield Connection(devices, requests, 1)


def heard(outlet: FakeOutlet) -> list[str]:
    """The takes that came: whose packets, how many, and whether silence closed it."""
    takes: list[str] = []
    names: list[str] = []
    for packet in outlet.packets:
        names.append("cut" if packet.data == SILENCE else packet.data.split(b":")[0].decode())
        if packet.is_end:
            ending = " cut" if names[-1] == "cut" else ""
            takes.append(f"{names[0]} {len(names)}{ending}")
            names = []
    return takes


async def test_play_is_heard_at_once(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        assert audio.outlet.flags == "S" + "m" * 14
        await trio.sleep(2)
        assert heard(audio.outlet) == ["clip0 50"]
        assert device.state == State()


@pytest.mark.parametrize("presses", range(5))
async def test_every_mode_has_its_clip(autojump_clock: MockClock, presses: int) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(*[MODE] * presses, PLAY)
        await trio.sleep(6)
        assert heard(audio.outlet) == [f"clip{presses} {50 * (presses + 1)}"]


async def test_stop_closes_before_it_is_acknowledged(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        events = await device.open_events()
        await events.press(MODE, Action.PRESS)
        await events.press(PLAY, Action.PRESS)
        await trio.sleep(0.5)
        await events.press(STOP, Action.PRESS)
        assert heard(audio.outlet) == ["clip1 38 cut"]
        assert device.state == State()
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip1 38 cut"]


async def test_stop_while_idle_sends_nothing(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(STOP, STOP)
        assert audio.outlet.flags == ""


async def test_stop_after_the_last_packet_sends_nothing_more(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.9)
        await device.press(STOP)
        assert heard(audio.outlet) == ["clip0 50"]
        assert device.state == State()


async def test_play_over_play_closes_and_begins_again(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(MODE, PLAY)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 38 cut", "clip1 100"]


async def test_of_many_presses_at_once_the_newest_wins(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY, PLAY, MODE, PLAY, PLAY, MODE, PLAY)
        await trio.sleep(5)
        assert is_grammatical(audio.outlet.flags)
        assert heard(audio.outlet)[-1] == "clip2 150"
        assert all(take.endswith("cut") for take in heard(audio.outlet)[:-1])


async def test_ignored_plays_do_not_disturb(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="ignore") as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(MODE, PLAY, PLAY)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 50"]


async def test_queued_plays_follow_one_another(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(PLAY, MODE, PLAY, MODE, PLAY)
        await trio.sleep(5.9)
        assert device.state.playing == 2
        await trio.sleep(0.2)
        assert heard(audio.outlet) == ["clip0 50", "clip1 100", "clip2 150"]
        assert [p.at_s for p in audio.outlet.packets if p.is_start] == pytest.approx([0, 1, 3])


async def test_stop_forgets_the_queue(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(PLAY, PLAY, PLAY)
        await trio.sleep(0.5)
        await device.press(STOP)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 38 cut"]


async def test_mode_may_switch(autojump_clock: MockClock) -> None:
    async with connected(mode_while_playing="switch") as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(MODE)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 38 cut", "clip1 100"]


async def test_mode_may_stop(autojump_clock: MockClock) -> None:
    async with connected(mode_while_playing="stop") as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await device.press(MODE)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 16 cut"]
        assert device.state == State(1)


async def test_hold_and_release_do_not_disturb(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await device.press(STOP, PLAY, action=Action.HOLD)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 50"]


# -- streams


@pytest.mark.parametrize("late_s", [0, 0.5, 0.99])
async def test_a_press_waits_for_the_audio_stream(autojump_clock: MockClock, late_s: float) -> None:
    async with connected() as device:
        await device.press(MODE, PLAY)
        await trio.sleep(late_s)
        audio = await device.open_audio()
        assert device.state.playing == 1
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip1 100"]
        assert audio.outlet.packets[0].at_s == pytest.approx(late_s)


async def test_without_an_audio_stream_in_time_nothing_plays(autojump_clock: MockClock) -> None:
    async with connected() as device:
        with structlog.testing.capture_logs() as logs:
            await device.press(PLAY)
            await trio.sleep(1.01)
        assert device.state == State(error=True)
        assert [entry["device_id"] for entry in logs] == ["x"]
        audio = await device.open_audio()
        await trio.sleep(5)
        assert audio.outlet.flags == ""
        await device.press(CONNECT)
        assert device.state == State()


async def test_stop_while_it_waits_for_the_stream_plays_nothing(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(STOP)
        audio = await device.open_audio()
        await trio.sleep(5)
        assert audio.outlet.flags == ""
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
        assert again.outlet.flags == ""
        await device.press(PLAY)
        assert again.outlet.flags == "S" + "m" * 14


async def test_a_stream_opened_again_takes_the_place_of_the_old_one(
    autojump_clock: MockClock,
) -> None:
    async with connected() as device:
        old = await device.open_audio()
        await device.press(PLAY)
        new = await device.open_audio()
        assert old.ended_by is not None
        assert old.outlet.flags == "S" + "m" * 14 + "E"
        assert device.state == State()
        await device.press(PLAY)
        await trio.sleep(2)
        assert heard(new.outlet) == ["clip0 50"]
        assert len(old.outlet.packets) == 16


# -- stalls


async def test_a_cut_without_room_goes_out_when_the_device_reads_again(
    autojump_clock: MockClock,
) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        audio.outlet.give(-math.inf)
        await device.press(STOP)
        assert device.state == State()
        await trio.sleep(100)
        assert audio.outlet.flags == "S" + "m" * 14
        audio.outlet.give(math.inf)
        await wait_all_tasks_blocked()
        assert heard(audio.outlet) == ["clip0 16 cut"]


async def test_a_play_behind_it_waits_for_it(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        audio.outlet.give(-math.inf)
        await device.press(STOP, PLAY, MODE, PLAY)
        await trio.sleep(5)
        audio.outlet.give(math.inf)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 16 cut", "clip1 100"]


async def test_a_stall_of_thirty_seconds_ends_in_idle(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(PLAY, PLAY)
        audio.outlet.give(-math.inf)
        with structlog.testing.capture_logs() as logs:
            await trio.sleep(30.2)
            assert device.state.playing == 0
            await trio.sleep(0.1)
        assert device.state == State()
        assert len(logs) == 1
        audio.outlet.give(math.inf)
        await trio.sleep(5)
        assert heard(audio.outlet) == ["clip0 16 cut"]


async def test_presses_are_applied_while_audio_stalls(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_audio(FakeOutlet(-math.inf))
        with trio.fail_after(0.001):
            await device.press(PLAY, MODE, STOP, MODE, MODE, PLAY)
        assert device.state == State(2, playing=2)


# -- clips


class Broken(Clip):
    """A clip whose bytes cannot be had after its first second."""

    def slice(self, start: int, stop: int) -> bytes:
        if stop > 50:
            raise OSError("the disk is gone")
        return super().slice(start, stop)


async def test_a_clip_that_fails_ends_its_take_and_nothing_else(autojump_clock: MockClock) -> None:
    broken = Broken(CLIPS[1].name, CLIPS[1].frames, CLIPS[1].offsets)
    async with connected([CLIPS[0], broken]) as device:
        audio = await device.open_audio()
        with structlog.testing.capture_logs() as logs:
            await device.press(MODE, PLAY)
            await trio.sleep(2)
        assert heard(audio.outlet) == ["clip1 49 cut"]
        assert device.state == State(1, error=True)
        assert "clip1" in logs[0]["error"]
        await device.press(STOP, PLAY)
        await trio.sleep(2)
        assert heard(audio.outlet)[1:] == ["clip0 50"]


async def test_a_mode_without_a_clip_plays_nothing(autojump_clock: MockClock) -> None:
    async with connected(CLIPS[:2]) as device:
        audio = await device.open_audio()
        await device.press(MODE, MODE, PLAY)
        await trio.sleep(2)
        assert audio.outlet.flags == ""
        assert device.state == State(2, error=True)


async def test_position(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_audio()
        await device.open_events()
        assert device.device.position is None
        await device.press(PLAY)
        await trio.sleep(0.25)
        position = device.device.position
        assert position is not None
        assert position[:2] == (50, 26)
        assert position.played_s == pytest.approx(0.25)
