"""What a device plays, press by press, and what becomes of it when its clip fails."""

from __future__ import annotations

import pytest
import structlog
import trio
from fake_sink import is_grammatical
from kit import CLIPS, connected, heard
from trio.testing import MockClock

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Action, Button, State

PLAY, STOP, MODE, CONNECT = Button.PLAY, Button.STOP, Button.MODE, Button.CONNECT


async def test_play_is_heard_at_once(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        assert audio.sink.flags == "S" + "m" * 14
        await trio.sleep(2)
        assert heard(audio.sink) == ["clip0 50"]
        assert device.state == State()


@pytest.mark.parametrize("presses", range(5))
async def test_every_mode_has_its_clip(autojump_clock: MockClock, presses: int) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(*[MODE] * presses, PLAY)
        await trio.sleep(6)
        assert heard(audio.sink) == [f"clip{presses} {50 * (presses + 1)}"]


async def test_stop_closes_before_it_is_acknowledged(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        events = await device.open_events()
        await events.press(MODE, Action.PRESS)
        await events.press(PLAY, Action.PRESS)
        await trio.sleep(0.5)
        await events.press(STOP, Action.PRESS)
        assert heard(audio.sink) == ["clip1 38 cut"]
        assert device.state == State()
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip1 38 cut"]


async def test_stop_while_idle_sends_nothing(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(STOP, STOP)
        assert audio.sink.flags == ""


async def test_stop_after_the_last_packet_sends_nothing_more(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.9)
        await device.press(STOP)
        assert heard(audio.sink) == ["clip0 50"]
        assert device.state == State()


async def test_play_over_play_closes_and_begins_again(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(MODE, PLAY)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 38 cut", "clip1 100"]


async def test_of_many_presses_at_once_the_newest_wins(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY, PLAY, MODE, PLAY, PLAY, MODE, PLAY)
        await trio.sleep(5)
        assert is_grammatical(audio.sink.flags)
        assert heard(audio.sink)[-1] == "clip2 150"
        assert all(take.endswith("cut") for take in heard(audio.sink)[:-1])


async def test_ignored_plays_do_not_disturb(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="ignore") as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(MODE, PLAY, PLAY)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 50"]


async def test_queued_plays_follow_one_another(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(PLAY, MODE, PLAY, MODE, PLAY)
        await trio.sleep(5.9)
        assert device.state.playing == 2
        await trio.sleep(0.2)
        assert heard(audio.sink) == ["clip0 50", "clip1 100", "clip2 150"]
        assert [p.at_s for p in audio.sink.packets if p.is_start] == pytest.approx([0, 1, 3])


async def test_stop_forgets_the_queue(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(PLAY, PLAY, PLAY)
        await trio.sleep(0.5)
        await device.press(STOP)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 38 cut"]


async def test_mode_may_switch(autojump_clock: MockClock) -> None:
    async with connected(mode_while_playing="switch") as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.5)
        await device.press(MODE)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 38 cut", "clip1 100"]


async def test_mode_may_stop(autojump_clock: MockClock) -> None:
    async with connected(mode_while_playing="stop") as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await device.press(MODE)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 16 cut"]
        assert device.state == State(1)


async def test_hold_and_release_do_not_disturb(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await device.press(STOP, PLAY, action=Action.HOLD)
        await trio.sleep(5)
        assert heard(audio.sink) == ["clip0 50"]


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
        assert heard(audio.sink) == ["clip1 49 cut"]
        assert device.state == State(1, error=True)
        assert "clip1" in logs[0]["error"]
        await device.press(STOP, PLAY)
        await trio.sleep(2)
        assert heard(audio.sink)[1:] == ["clip0 50"]


async def test_a_mode_without_a_clip_plays_nothing(autojump_clock: MockClock) -> None:
    async with connected(CLIPS[:2]) as device:
        audio = await device.open_audio()
        await device.press(MODE, MODE, PLAY)
        await trio.sleep(2)
        assert audio.sink.flags == ""
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
