"""From frames to devices and back: tiny windows, stalls, and cuts in the middle of a burst.

Whatever a device grants, and whenever, each audio stream is `(start middle* end)*` of whole
messages, each take is its clip from the beginning with no hole, and every press has its ack.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import event, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair
from windowed_peer import WindowedPeer, split, takes

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import ServerConnection
from audio_server.service.device_service import DeviceService
from audio_server.wire.audio import SILENCE
from audio_server.wire.comms_pb2 import AudioPacket
from benchmarks.frames import AUDIO, EVENTS, STATUS, Button

LENGTHS = (40, 1, 300, 2, 17)
CLIPS = [
    Clip.from_packets(f"{n}", [b"%d:%d." % (n, i) + b"x" * (7 * i % 90) for i in range(length)])
    for n, length in enumerate(LENGTHS)
]
LEAD_S = 0.3

sizes = st.sampled_from([1, 2, 4, 5, 6, 7, 11, 12, 50, 99, 100, 500, 5_000, 100_000])
presses = st.tuples(
    st.just("press"), st.sampled_from([Button.PLAY, Button.PLAY, Button.STOP, Button.MODE])
)
grants = st.tuples(st.just("grant"), st.sampled_from([AUDIO, AUDIO, 0, EVENTS, STATUS]), sizes)
waits = st.tuples(st.just("wait"), st.sampled_from([0.0, 0.0, 0.02, 0.1, 0.3, 1.0, 31.0]))
cuts = st.just(("reset",))
histories = st.lists(
    st.one_of(presses, presses, grants, grants, waits, waits, cuts), min_size=5, max_size=40
)
initials = st.sampled_from([0, 1, 7, 50, 100, 1_000, 65_535])


async def _live(initial: int, history: list[tuple[Any, ...]]) -> None:
    devices = Devices(CLIPS, Rules(clips=len(CLIPS)), LEAD_S)
    near, far = memory_stream_pair()
    services = DeviceService(devices).__mapping__()
    connection = ServerConnection(services, far, limits=Limits(), number=1)
    peer = WindowedPeer(near, initial)
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        async with trio.open_nursery() as server:
            server.start_soon(connection.run)
            nursery.start_soon(peer.listen)
            await peer.say(peer.hello)
            lost = await _follow(peer, history)
            await _come_to_rest(peer)
            assert peer.acks() == peer.presses
            assert lost or not takes(peer.audio[-1])[1], "a take was left open"
            await trio.aclose_forcefully(near)
        assert not connection.streams
        assert not devices.by_id
        nursery.cancel_scope.cancel()


async def _follow(peer: WindowedPeer, history: list[tuple[Any, ...]]) -> bool:
    """Do it all; whether the audio stream was reset."""
    lost = False
    for step, *arguments in history:
        if step == "press":
            await peer.press(*arguments)
        elif step == "grant":
            await peer.grant(*arguments)
        elif step == "wait":
            await trio.sleep(*arguments)
        elif not lost:
            lost = True
            await peer.reset_audio()
        await trio.testing.wait_all_tasks_blocked()
        check(peer.audio[-1])
    return lost


async def _come_to_rest(peer: WindowedPeer) -> None:
    """Grant all there is to grant, and let what plays come to its end; pressed is Stop."""
    for stream in (0, STATUS, EVENTS, AUDIO):
        await peer.grant(stream, 2**24)
    await peer.press(Button.STOP)
    for _ in range(4):
        await trio.sleep(5)
    check(peer.audio[-1])


def check(audio: bytearray) -> None:
    """Whole messages in order, whole takes in order, each from its clip's beginning."""
    for take in takes(audio)[0]:
        sound = [packet for packet in take if packet.data != SILENCE]
        names = [packet.data.split(b".")[0].split(b":") for packet in sound]
        assert len({name for name, _ in names}) <= 1, "two clips in a take"
        assert [int(index) for _, index in names] == list(range(len(sound))), "a hole"
        is_whole = names and len(sound) == LENGTHS[int(names[0][0])]
        assert not take[-1].is_end or is_whole or take[-1].data == SILENCE


@given(initials, histories)
@settings(max_examples=100, deadline=None)
def test_any_windows_and_cuts_keep_the_grammar(
    initial: int, history: list[tuple[Any, ...]]
) -> None:
    trio.run(_live, initial, history, clock=MockClock(autojump_threshold=0))
    event(f"window {initial}")


def packets(*flags: str) -> bytearray:
    made = [AudioPacket(is_start="s" in f, is_end="e" in f, data=b"0:0.") for f in flags]
    parts = (packet.SerializeToString() for packet in made)
    return bytearray(b"".join(bytes([0, 0, 0, 0, len(part)]) + part for part in parts))


@pytest.mark.parametrize("flags", [("",), ("e",), ("s", "s"), ("s", "e", "e"), ("se", "")])
def test_what_is_no_take_is_seen(flags: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError):
        takes(packets(*flags))


def test_what_is_no_whole_clip_is_seen() -> None:
    with pytest.raises(AssertionError):
        check(packets("s", "e"))
    with pytest.raises(AssertionError):
        split(b"\x01\0\0\0\0")
