"""`ServerAudioStream` as a stock device hears it (device contract, section 2, 7-8, and section 3).

Every test ends in `takes_of`, which fails where a stream is not `(start middle* end)*` or where
a packet is empty or no Opus packet of 20 ms.
"""

from __future__ import annotations

from itertools import pairwise

from heard import LEAD_S, PACKET_S, SOON_S, takes_of
from house import (
    HOME,
    LONG,
    SHORT,
    SINGLE,
    TONE,
    MadeClips,
    play,
    select,
    wait_shown,
    wait_takes,
)
from sound_files import RATE_HZ, decode
from stock_device import StockDevice

from audio_server.simulator.buttons import Button


def test_a_clip_is_sent_whole_and_at_its_pace(device: StockDevice, clips: MadeClips) -> None:
    """Bit for bit, never further ahead than the lead, and never late."""
    device.press(Button.PLAY)
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.home)
    assert take.lead_s(device.acks[-1].sent_s) <= LEAD_S
    assert take.late_s() <= SOON_S
    wait_shown(device, HOME)


def test_a_clip_that_is_no_opus_is_sent_as_opus(device: StockDevice) -> None:
    """0.6 s of 440 Hz: as long, and as high, when a device has decoded it."""
    select(device, TONE)
    device.press(Button.PLAY)
    (take,) = wait_takes(device, 1)
    assert 0.6 <= len(take.packets) * PACKET_S <= 0.6 + 2 * PACKET_S
    sound = [sample for packet in decode(take.data) for sample in packet]
    middle = sound[RATE_HZ // 10 : RATE_HZ // 2]
    rises = sum(a < 0 <= b for a, b in pairwise(middle))
    assert 174 <= rises <= 178


def test_a_clip_of_one_packet_starts_and_ends_with_it(
    device: StockDevice, clips: MadeClips
) -> None:
    select(device, SINGLE)
    for _ in range(3):
        play(device)
    takes = wait_takes(device, 3)
    assert [take.is_whole(clips.single) for take in takes] == [True] * 3


def test_stop_is_felt_within_the_lead(device: StockDevice, clips: MadeClips) -> None:
    """What the device holds when Stop is acked is all that it will hear, and the end."""
    select(device, LONG)
    play(device, packets=40)
    device.press(Button.STOP)
    device.wait_answered()
    (take,) = wait_takes(device, 1)
    assert take.is_cut(clips.long)
    played, stopped = device.acks[-2:]
    assert len(take.packets) * PACKET_S <= stopped.at_s - played.sent_s + LEAD_S + PACKET_S
    assert take.packets[-1].at_s - stopped.at_s < SOON_S
    wait_shown(device, 0)


def test_play_over_play_ends_the_one_take_before_the_other(
    device: StockDevice, clips: MadeClips
) -> None:
    select(device, SHORT)
    for _ in range(5):
        play(device, packets=3)
    takes = wait_takes(device, 5)
    assert all(take.is_cut(clips.short) for take in takes[:-1])
    assert takes[-1].is_whole(clips.short)


def test_a_burst_of_plays_and_stops_keeps_the_grammar(
    device: StockDevice, clips: MadeClips
) -> None:
    """As fast as acks come. The last Play is the one that is heard whole."""
    device.press(*[Button.PLAY, Button.STOP, Button.PLAY, Button.PLAY, Button.MODE] * 9)
    device.press(Button.STOP, Button.MODE, Button.PLAY)
    device.wait_answered()
    device.wait(lambda: device.packets[-1].data == clips.short[-1])
    takes = takes_of(device.packets)
    assert takes[-1].is_whole(clips.short)
    known = (clips.home, clips.short, clips.single, clips.long, clips.dense)
    assert all(any(t.is_cut(c) or t.is_whole(c) for c in known) for t in takes[:-1])


def test_mode_while_playing_changes_what_is_next(device: StockDevice, clips: MadeClips) -> None:
    select(device, SHORT)
    play(device)
    device.press(Button.MODE)
    wait_shown(device, SINGLE, playing=True)
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.short)
    wait_shown(device, SINGLE)
    play(device)
    assert takes_of(device.packets)[1].is_whole(clips.single)


def test_stop_while_idle_sends_no_sound(device: StockDevice, clips: MadeClips) -> None:
    """An `is_end` that nothing preceded would break the device's sound for good."""
    device.press(*[Button.STOP] * 5, Button.MODE, Button.STOP, *[Button.MODE] * SINGLE)
    device.wait_answered()
    assert device.packets == []
    device.press(Button.PLAY)
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.single)


def test_stop_goes_home_and_the_next_play_plays_home(device: StockDevice, clips: MadeClips) -> None:
    select(device, LONG)
    play(device)
    device.press(Button.STOP)
    wait_shown(device, 0)
    play(device)
    wait_shown(device, 0, playing=True)
    old, new = takes_of(device.packets)
    assert old.is_cut(clips.long)
    assert new.is_beginning(clips.home)
