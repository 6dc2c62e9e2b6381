"""What an operator does to devices, and what becomes of it."""

from __future__ import annotations

import pytest
import trio
from fleet_kit import CLIPS, Stand, press, standing
from trio.testing import MockClock

from audio_server.device.behaviour import Button, State


def state(at: Stand, device_id: str = "a") -> State:
    return at.devices.by_id[device_id].state


async def test_a_press_is_as_the_devices_own() -> None:
    async with standing() as at:
        with at.connected("a"), at.connected("b", 2):
            assert await at.fleet.press("a", Button.MODE) == ("done", None)
            assert (state(at).mode, state(at, "b").mode) == (1, 0)
            assert (await at.fleet.press("c", Button.MODE)).result == "gone"


async def test_any_clip_plays_and_the_mode_stays() -> None:
    async with standing() as at:
        with at.connected("a") as link, at.connected("b", 2), at.connected("c", 3):
            await press(link, Button.MODE)
            outcomes = await at.fleet.play(["a", "b", "nobody"], 3)
            assert {key: outcome.result for key, outcome in outcomes.items()} == {
                "a": "done",
                "b": "done",
                "nobody": "gone",
            }
            assert state(at) == State(1, playing=3)
            assert at.devices.by_id["a"].source is CLIPS[3]
            assert state(at, "b") == State(0, playing=3)
            assert state(at, "c") == State(0)


async def test_all_that_are_connected_play_and_stop() -> None:
    async with standing() as at:
        with at.connected("a") as link, at.connected("b", 2):
            await press(link, Button.MODE)
            assert (await at.fleet.play(None, 2)).keys() == {"a", "b"}
            assert state(at).playing == state(at, "b").playing == 2
            assert (await at.fleet.stop(None)).keys() == {"a", "b"}
            assert (state(at), state(at, "b")) == (State(1), State(0))
            assert at.devices.by_id["a"].source is None


async def test_a_clip_cuts_what_plays_whatever_the_settings(autojump_clock: MockClock) -> None:
    async with standing(play_while_playing="queue", stop_goes="home") as at:
        with at.connected() as link:
            await press(link, Button.MODE, Button.PLAY, Button.PLAY)
            await at.fleet.play(["a"], 0)
            assert state(at) == State(1, playing=0)
            await trio.sleep(1.5)
            assert state(at) == State(1)


async def test_it_ends_the_start_up_sequence() -> None:
    async with standing() as at:
        with at.connected():
            assert at.devices.by_id["a"].display.status.greeting is not None
            await at.fleet.play(["a"], 0)
            assert at.devices.by_id["a"].display.status.greeting is None


async def test_stop_clears_the_error() -> None:
    async with standing(CLIPS[:1]) as at:
        with at.connected() as link:
            await press(link, Button.MODE, Button.PLAY)
            assert state(at).error
            await at.fleet.stop(["a"])
            assert state(at) == State(1)


@pytest.mark.parametrize("clip", [-1, 5, 99])
async def test_a_clip_that_is_not_there_changes_nothing(clip: int) -> None:
    async with standing() as at:
        with at.connected():
            outcomes = await at.fleet.play(["a"], clip)
            assert outcomes["a"] == ("failed", "there is no such clip")
            assert state(at) == State()


async def test_a_device_without_an_audio_stream_does_not_play() -> None:
    async with standing() as at:
        with at.devices.attach_events("a", 1):
            outcomes = await at.fleet.play(["a"], 0)
            assert outcomes["a"] == ("failed", "it has no audio stream open")
            assert state(at) == State()


async def test_nothing_starts_in_a_shutdown() -> None:
    async with standing() as at:
        with at.connected():
            await at.devices.end_takes()
            outcomes = await at.fleet.play(["a"], 0)
            assert outcomes["a"] == ("failed", "the server is stopping")
            assert state(at) == State()


async def test_a_device_that_goes_meanwhile_is_gone(autojump_clock: MockClock) -> None:
    async with standing() as at, trio.open_nursery() as nursery:
        with at.connected():
            nursery.start_soon(gone, at)
            await trio.lowlevel.checkpoint()


async def gone(at: Stand) -> None:
    assert (await at.fleet.press("a", Button.MODE)).result == "gone"
