"""The behaviour settings, from `Settings` to what a device sees and hears."""

from __future__ import annotations

import trio
from service_home import clip_of, frame, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.rpc.limits import Limits

PLAY, MODE, STOP = Button.PLAY, Button.MODE, Button.STOP


def whole(mode: int, packets: int) -> list[str]:
    """What is heard of a clip from its first to its last packet."""
    return [f"{mode}:{index}" for index in range(packets - 1)] + [f"{mode}:{packets - 1}."]


async def test_play_while_playing_is_ignored(autojump_clock: MockClock) -> None:
    async with open_home(play_while_playing="ignore") as home, home.device() as panel:
        await panel.press(PLAY)
        await trio.sleep(0.5)
        await panel.press(MODE, PLAY)
        await trio.sleep(2.0)
    assert panel.heard == whole(0, 50)
    assert panel.shown == frame(1)


async def test_play_while_playing_is_queued(autojump_clock: MockClock) -> None:
    """Each follows when the sound before it has ended, in the mode it was asked for in."""
    async with open_home(play_while_playing="queue") as home, home.device() as panel:
        await panel.press(PLAY, MODE, PLAY, MODE, PLAY, MODE)
        await trio.sleep(4.0)
    assert panel.heard == whole(0, 50) + whole(1, 25) + whole(2, 1)
    starts = [at_s for at_s, packet in panel.packets if packet.is_start]
    assert [round(at_s, 2) for at_s in starts] == [0.0, 1.0, 1.5]
    assert panel.frames[-1] == (1.52, frame(3))


async def test_stop_forgets_the_queue(autojump_clock: MockClock) -> None:
    async with open_home(play_while_playing="queue") as home, home.device() as panel:
        await panel.press(PLAY, PLAY, PLAY)
        await trio.sleep(0.1)
        await panel.press(STOP)
        await trio.sleep(4.0)
    assert panel.heard[-1] == "cut."
    assert len(panel.heard) == 16


async def test_mode_while_playing_stops(autojump_clock: MockClock) -> None:
    async with open_home(mode_while_playing="stop") as home, home.device() as panel:
        await panel.press(PLAY)
        await trio.sleep(0.5)
        await panel.press(MODE)
        await trio.sleep(2.0)
    assert panel.heard[-1] == "cut."
    assert panel.frames[-1] == (0.5, frame(1))


async def test_mode_while_playing_switches(autojump_clock: MockClock) -> None:
    async with open_home(mode_while_playing="switch") as home, home.device() as panel:
        await panel.press(PLAY)
        await trio.sleep(0.5)
        await panel.press(MODE)
        await trio.sleep(2.0)
    cut = panel.heard.index("cut.")
    assert panel.heard[cut + 1 :] == whole(1, 25)
    assert panel.packets[cut + 1][0] == 0.5
    assert panel.frames[-1] == (1.0, frame(1))


async def test_stop_keeps_the_mode(autojump_clock: MockClock) -> None:
    async with open_home(stop_goes="keep") as home, home.device() as panel:
        await panel.press(MODE, PLAY, STOP)
        await trio.sleep(0.1)
        assert panel.shown == frame(1)
        await panel.press(MODE, STOP)
        await trio.sleep(0.1)
    assert panel.shown == frame(2)


async def test_the_table_with_its_defaults(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await panel.press(PLAY)
        await trio.sleep(0.5)
        await panel.press(MODE)
        await trio.sleep(0.1)
        assert panel.shown == frame(1, playing=True)
        await panel.press(PLAY)
        await trio.sleep(2.0)
        await panel.press(STOP)
        await trio.sleep(0.1)
    cut = panel.heard.index("cut.")
    assert panel.heard[cut + 1 :] == whole(1, 25)
    assert panel.shown == frame(0)


async def test_there_are_as_many_modes_as_clips_but_at_least_five(
    autojump_clock: MockClock,
) -> None:
    """A mode that has no clip plays nothing, and says so."""
    for clips, modes in ((1, 5), (7, 7)):
        made = [clip_of(3, str(mode)) for mode in range(clips)]
        async with open_home(made) as home, home.device(f"of-{clips}") as panel:
            for mode in range(1, modes + 1):
                await panel.press(MODE)
                await trio.testing.wait_all_tasks_blocked()
                assert panel.shown == frame(mode % modes)
    async with open_home([clip_of(3)]) as home, home.device() as panel:
        await panel.press(MODE, PLAY)
        await trio.sleep(2.0)
        assert panel.packets == []
        assert panel.shown not in (frame(1), frame(1, playing=True))


async def test_how_long_a_take_waits_to_be_read(autojump_clock: MockClock) -> None:
    limits = Limits(unread_s=5)
    small = Limits(stream_window_bytes=4096)
    async with open_home(limits=limits) as home, home.device(limits=small, reads=False) as panel:
        await panel.press(MODE, MODE, MODE, PLAY)
        await trio.sleep(5.5)
        assert home.devices.by_id["one"].state.playing == 3
        await trio.sleep(1.0)
        assert home.devices.by_id["one"].state.playing is None
