"""Rules and sources of a guest: a pause that resumes where it was heard, and sound that is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from fake_sink import FakeSink, is_grammatical
from kit import CLIPS, Connection, heard, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.audio_source import AudioSource, PacketSource
from audio_server.device.behaviour import (
    Action,
    Button,
    DefaultBehaviour,
    Effect,
    Rules,
    State,
    Step,
)
from audio_server.device.events import DeviceEvent
from audio_server.device.leds import PAUSED
from audio_server.device.registry import Devices
from audio_server.wire.audio import SILENCE

PLAY, STOP, MODE = Button.PLAY, Button.STOP, Button.MODE


class HoldToPause(DefaultBehaviour):
    def on_button(self, rules: Rules, state: State, button: Button, action: Action) -> Step:
        if button is PLAY and action is Action.HOLD and state.playing is not None:
            effect = Effect.RESUME if state.paused else Effect.PAUSE
            return state._replace(paused=not state.paused), effect
        return super().on_button(rules, state, button, action)


@asynccontextmanager
async def connected(
    sources: list[AudioSource] | None = None, behaviour: DefaultBehaviour | None = None
) -> AsyncIterator[Connection]:
    sources = list(CLIPS) if sources is None else sources
    devices = Devices(sources, Rules(len(sources)), 0.3, behaviour=behaviour or HoldToPause())
    async with running(devices) as requests:
        yield Connection(devices, requests, 1)


async def hold(device: Connection) -> None:
    await device.press(PLAY, action=Action.HOLD)


def sound(sink: FakeSink) -> list[bytes]:
    return [packet.data for packet in sink.packets if packet.data != SILENCE]


def whole(index: int) -> list[bytes]:
    sink = FakeSink()
    clip = CLIPS[index]
    for position in range(clip.packets):
        sink.send_nowait(clip.slice(position, position + 1))
    return [packet.data for packet in sink.packets]


@pytest.mark.parametrize("pause_s", [0, 0.01, 0.3, 0.5, 0.69, 0.75, 0.99])
async def test_a_pause_loses_and_repeats_nothing(autojump_clock: MockClock, pause_s: float) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(pause_s)
        await hold(device)
        assert device.state == State(playing=0, paused=True)
        assert device.device.display.status.frame.leds[1] == PAUSED
        await trio.sleep(20)
        assert sound(audio.sink) == whole(0)[: len(sound(audio.sink))]
        await hold(device)
        await trio.sleep(2)
        assert sound(audio.sink) == whole(0)
        assert is_grammatical(audio.sink.flags)
        assert device.state == State()


async def test_a_pause_ends_its_take_at_once_with_silence(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(MODE, PLAY)
        await trio.sleep(0.5)
        await hold(device)
        assert heard(audio.sink) == ["clip1 38 cut"]
        await hold(device)
        await trio.sleep(3)
        assert heard(audio.sink) == ["clip1 38 cut", "clip1 63"]


async def test_a_resumed_take_keeps_the_lead(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(MODE, MODE, PLAY)
        await trio.sleep(1)
        await hold(device)
        before = len(audio.sink.packets)
        await trio.sleep(5)
        await hold(device)
        assert len(audio.sink.packets) - before == 15
        await trio.sleep(0.5)
        assert len(audio.sink.packets) - before <= 15 + 0.5 / 0.02


async def test_pauses_follow_one_another(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(MODE, PLAY)
        for _ in range(4):
            await trio.sleep(0.1)
            await hold(device)
            await hold(device)
        await trio.sleep(3)
        assert sound(audio.sink) == whole(1)
        assert is_grammatical(audio.sink.flags)


@pytest.mark.parametrize("button", [PLAY, STOP])
async def test_play_and_stop_forget_a_pause(autojump_clock: MockClock, button: Button) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.4)
        await hold(device)
        await device.press(button)
        await trio.sleep(3)
        expected = ["clip0 27 cut"] if button is STOP else ["clip0 27 cut", "clip0 50"]
        assert heard(audio.sink) == expected
        assert device.state == State()


async def test_a_pause_does_not_survive_its_stream(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_status()
        audio = await device.open_audio()
        await device.press(PLAY)
        await hold(device)
        await audio.drop()
        assert device.state == State()
        again = await device.open_audio()
        await hold(device)
        await trio.sleep(3)
        assert heard(again.sink) == []


async def test_a_slow_stream_gets_a_resumed_take_whole(autojump_clock: MockClock) -> None:
    """Room for less than the lead: the opening packet, larger by its flag, never exceeds it."""
    async with connected() as device:
        sink = FakeSink(150)
        await device.open_audio(sink)
        await device.press(PLAY)
        await hold(device)
        await hold(device)
        for _ in range(400):
            sink.give(15)
            await trio.sleep(0.05)
        assert sound(sink) == whole(0)
        assert is_grammatical(sink.flags)


async def test_a_source_without_an_end_plays_until_stop(autojump_clock: MockClock) -> None:
    tone = PacketSource("tone", lambda position: b"tone:%d" % position)
    async with connected([tone]) as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(3600)
        assert 0 <= len(audio.sink.packets) - 3600 / 0.02 <= 15
        await device.press(STOP)
        assert len(heard(audio.sink)) == 1
        assert is_grammatical(audio.sink.flags)


async def test_a_source_that_fails_ends_its_take_alone(autojump_clock: MockClock) -> None:
    def packet(position: int) -> bytes:
        return b"x:%d" % position if position < 30 else b""

    async with connected([PacketSource("broken", packet, 100)]) as device:
        audio = await device.open_audio()
        with structlog.testing.capture_logs():
            await device.press(PLAY)
            await trio.sleep(2)
        assert device.state == State(error=True)
        assert is_grammatical(audio.sink.flags)


async def test_a_behaviour_that_raises_ends_its_device_alone(autojump_clock: MockClock) -> None:
    class Broken(DefaultBehaviour):
        def on_button(self, rules: Rules, state: State, button: Button, action: Action) -> Step:
            if button is STOP:
                raise RuntimeError("a fault of the guest")
            return super().on_button(rules, state, button, action)

    async with connected(behaviour=Broken()) as device:
        await device.open_audio()
        await device.press(PLAY)
        events = await device.open_events()
        with structlog.testing.capture_logs() as logs:
            assert not events.press_nowait(STOP, Action.PRESS)
            await wait_all_tasks_blocked()
        assert [line["event"] for line in logs] == ["device failed"]
        again = await device.open_events()
        assert again.press_nowait(PLAY, Action.PRESS)


class Doorbell:
    """A listener that plays on one device when a button of another is pressed."""

    def __init__(self, devices: Devices) -> None:
        self.devices = devices

    def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        if kind is DeviceEvent.PRESS and device_id == "door":
            self.devices.by_id["hall"].play(2)

    def changed(self, device_id: str) -> None:
        """Nothing to do."""


async def test_a_listener_may_play_elsewhere(autojump_clock: MockClock) -> None:
    devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
    bell = Doorbell(devices)
    devices.subscribe(bell)
    async with running(devices) as requests:
        door, hall = (Connection(devices, requests, 1, name) for name in ("door", "hall"))
        audio = await hall.open_audio()
        await door.press(PLAY)
        assert hall.state == State(playing=2)
        await trio.sleep(4)
        assert heard(audio.sink) == ["clip2 150"]
        devices.unsubscribe(bell)
        await door.press(PLAY)
        assert hall.state == State()
