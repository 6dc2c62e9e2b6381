"""Modes of live channels when clips are added and removed: a device keeps its channel."""

from __future__ import annotations

import pytest
from fake_sink import make_clip
from kit import Connection, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.behaviour import Button, Rules, State
from audio_server.device.live_channel import LiveChannel
from audio_server.device.moved_modes import with_moved_modes
from audio_server.device.registry import Devices

CLIPS = [make_clip(50, f"clip{mode}") for mode in range(9)]
RADIO, HALL = LiveChannel("radio"), LiveChannel("hall")
BEFORE = [*CLIPS[:6], RADIO, HALL]


@pytest.mark.parametrize(
    ("clips", "before", "after"),
    [
        (7, State(6), State(7)),
        (7, State(7, playing=6, queue=(7, 2, 6)), State(8, playing=7, queue=(8, 2, 7))),
        (4, State(7, playing=5), State(5, playing=5)),
        (1, State(6, error=True), State(1, error=True)),
        (7, State(5, playing=3), State(5, playing=3)),  # a clip is its number
        (6, State(6), State(6)),
        (4, State(9), State(9)),  # a mode without a source
    ],
)
def test_the_numbers_that_follow(clips: int, before: State, after: State) -> None:
    others = [*[make_clip(50, f"new{mode}") for mode in range(clips)], RADIO, HALL]
    assert with_moved_modes(before, BEFORE, others) == after
    if before == after:
        assert with_moved_modes(before, BEFORE, others) is before


def test_a_clip_does_not_follow_its_sound() -> None:
    state = State(2, playing=1)
    assert with_moved_modes(state, CLIPS[:3], [CLIPS[8], *CLIPS[:3]]) is state


async def test_a_device_stays_on_its_channel_when_clips_come_and_go(
    autojump_clock: MockClock,
) -> None:
    channel = LiveChannel("radio")
    devices = Devices([*CLIPS[:5], channel], Rules(6), 0.3)
    with channel.sending():
        for number in range(50):
            channel.put(b"\xf8" + number.to_bytes(4, "big"))
        async with running(devices) as requests:
            device = Connection(devices, requests, 1)
            await device.open_events()
            audio = await device.open_audio()
            await device.press(*[Button.MODE] * 5, Button.PLAY)
            devices.change_clips([*CLIPS[:7], channel])
            await wait_all_tasks_blocked()
            assert device.state == State(7, playing=7)
            devices.change_clips([*CLIPS[:3], channel])
            await wait_all_tasks_blocked()
            assert device.state == State(3, playing=3)
            await device.press(Button.PLAY)
            assert audio.sink.flags.count("S") == 2
            assert device.device.source is channel
