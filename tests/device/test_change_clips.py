"""Clips that change while devices play: what is on goes on, what follows is new."""

from __future__ import annotations

import pytest
import structlog.testing
import trio
from fake_sink import make_clip
from kit import CLIPS, Connection, connected, heard, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Button, Effect, Rules, State, clips_changed
from audio_server.device.leds import leds
from audio_server.device.mode_store import MemoryModeStore
from audio_server.device.registry import Devices

MODE, STOP, PLAY = Button.MODE, Button.STOP, Button.PLAY


def new(count: int) -> list[Clip]:
    return [make_clip(25, f"new{mode}") for mode in range(count)]


@pytest.mark.parametrize(
    ("before", "clips", "after"),
    [
        (State(4), 1, State(4)),
        (State(5), 5, State(0)),
        (State(7), 8, State(7)),
        (State(7, error=True), 6, State(0, error=True)),
        (State(2, playing=7), 3, State(2, playing=7)),
        (State(6, playing=1, queue=(5, 2, 3, 0)), 3, State(0, playing=1, queue=(2, 0))),
    ],
)
def test_the_state_that_follows(before: State, clips: int, after: State) -> None:
    assert clips_changed(Rules(clips), before) == (after, Effect.NONE)


async def test_what_plays_goes_on_and_the_next_play_has_the_new(autojump_clock: MockClock) -> None:
    async with connected() as connection:
        sink = (await connection.open_audio()).sink
        await connection.press(PLAY)
        await trio.sleep(0.5)
        connection.change_clips(new(5))
        await trio.sleep(1)
        assert connection.state == State(0)
        await connection.press(PLAY)
        await trio.sleep(1)
    assert heard(sink) == ["clip0 50", "new0 25"]


async def test_what_plays_outlasts_its_mode(autojump_clock: MockClock) -> None:
    async with connected([make_clip(50, f"old{mode}") for mode in range(7)]) as connection:
        sink = (await connection.open_audio()).sink
        status = await connection.open_status()
        await connection.press(*[MODE] * 6, PLAY)
        connection.change_clips(new(2))
        await wait_all_tasks_blocked()
        assert connection.state == State(0, playing=6)
        assert status.shown.leds == leds(State(0, playing=6))
        await trio.sleep(2)
        assert connection.state == State(0)
        await connection.press(*[MODE] * 4, PLAY)
        assert connection.state == State(4, error=True)
    assert heard(sink) == ["old6 50"]


async def test_what_is_queued_is_new_too_or_forgotten(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as connection:
        sink = (await connection.open_audio()).sink
        await connection.press(PLAY, MODE, PLAY, MODE, PLAY)
        assert connection.state.queue == (1, 2)
        connection.change_clips(new(2))
        await trio.sleep(5)
    assert heard(sink) == ["clip0 50", "new1 25"]


async def test_a_mode_that_is_no_more_is_kept_as_home(autojump_clock: MockClock) -> None:
    store = MemoryModeStore()
    clips = [make_clip(50, f"old{mode}") for mode in range(7)]
    devices = Devices(clips, Rules(len(clips)), 0.3, store=store)
    async with running(devices) as requests:
        await Connection(devices, requests, 1).press(*[MODE] * 5)
        assert store.get("x") == 5
        devices.change_clips(new(6))
        assert store.get("x") == 5
        devices.change_clips(new(5))
        assert store.get("x") == 0
        devices.change_clips(new(7))
        assert devices.by_id["x"].state == State(0)


async def test_the_start_up_sequence_goes_on(autojump_clock: MockClock) -> None:
    async with connected([make_clip(50)] * 7) as connection:
        status = await connection.open_status()
        begun = len(status.frames)
        connection.change_clips(CLIPS)
        await trio.sleep(1.1)
        assert len(status.frames) - begun == 5
        assert status.shown.leds == leds(State(0))


async def test_a_device_whose_mode_cannot_be_kept_fails_alone(autojump_clock: MockClock) -> None:
    class Broken(MemoryModeStore):
        def put(self, device_id: str, mode: int) -> None:
            if device_id == "broken" and not mode:
                raise OSError("no")
            super().put(device_id, mode)

    devices = Devices([make_clip(50)] * 7, Rules(7), 0.3, store=Broken())
    async with running(devices) as requests:
        for device_id in ("broken", "x"):
            await Connection(devices, requests, 1, device_id).press(*[MODE] * 6)
        with structlog.testing.capture_logs() as logs:
            devices.change_clips(CLIPS)
        assert [line["device"] for line in logs] == ["broken"]
        assert list(devices.by_id) == ["x"]
        assert devices.by_id["x"].state == State(0)
