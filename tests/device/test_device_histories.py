"""Any history of presses, announcements, drops, stalls, re-opened streams, take-overs and new clips
keeps the contract."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio
from announcements import Told
from fake_sink import FakeSink, Sent, is_grammatical, make_clip, parse
from hypothesis import event, given, settings
from hypothesis import strategies as st
from kit import CLIPS, AudioRequest, Connection, StatusRequest, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.announcing import Hearing
from audio_server.device.attachment import EventAttachment
from audio_server.device.behaviour import Action, Button, Rules
from audio_server.device.leds import STARTUP, leds
from audio_server.device.registry import Devices
from audio_server.wire.audio import PACKET_MS

LEAD_S = 0.3
PACKET_S = PACKET_MS / 1000
STARTUP_FRAMES = {frame for _, frame in STARTUP}

all_rules = st.builds(
    partial(Rules, len(CLIPS)),
    play_while_playing=st.sampled_from(["restart", "ignore", "queue"]),
    mode_while_playing=st.sampled_from(["keep", "stop", "switch"]),
    stop_goes=st.sampled_from(["home", "keep"]),
)

plays = st.just(("press", Button.PLAY, Action.PRESS))
presses = st.tuples(
    st.just("press"),
    st.sampled_from(Button),
    st.sampled_from([Action.PRESS] * 8 + [Action.HOLD, Action.RELEASE]),
)
waits = st.tuples(
    st.just("wait"),
    st.sampled_from([0.0, 0.02, 0.2, 0.22, 0.9, 1.0, 4.0]) | st.floats(0, 2, allow_nan=False),
)
streams = st.tuples(
    st.sampled_from(["open", "drop"]), st.sampled_from(["status", "events", "audio"])
)
stalls = st.one_of(
    st.just(("stall",)), st.just(("resume",)), st.tuples(st.just("drip"), st.integers(1, 2000))
)
connects = st.sampled_from([("reconnect",), ("reconnect",), ("vanish",)])
changes = st.tuples(st.just("change"), st.sampled_from([1, 3, 5, 6, 9]))
announcements = st.tuples(st.just("announce"), st.integers(1, 60), st.integers(0, 2))
operators = st.sampled_from([("operator_play", 2), ("operator_stop",)])
acts = st.one_of(announcements, operators)
steps = st.one_of(plays, waits, presses, plays, waits, streams, stalls, connects, changes, acts)
histories = st.lists(steps, min_size=12, max_size=50)


@dataclass
class Heard:
    """What is known of one audio stream."""

    request: AudioRequest
    stalled: bool = False

    @property
    def sink(self) -> FakeSink:
        return self.request.sink


@dataclass
class World:
    """One device whose history is made up, and everything that it was sent."""

    devices: Devices
    nursery: trio.Nursery
    rules: Rules
    connection: Connection = field(init=False)
    status: StatusRequest | None = None
    events: EventAttachment | None = None
    audio: Heard | None = None
    everything: list[Heard] = field(default_factory=list)
    asked: int = 0
    numbers: int = 0
    changes: int = 0
    announced: list[Told] = field(default_factory=list)

    async def reconnect(self) -> None:
        """Everything new, as a stock device does it; the old streams have not ended yet."""
        self.numbers += 1
        self.connection = Connection(self.devices, self.nursery, self.numbers)
        for stream in ("status", "events", "audio"):
            await self.open(stream)

    async def open(self, stream: str) -> None:
        if stream == "status":
            self.status = await self.connection.open_status()
        elif stream == "events":
            self.events = await self.connection.open_events()
        else:
            self.audio = Heard(await self.connection.open_audio())
            self.everything.append(self.audio)

    async def drop(self, stream: str) -> None:
        if stream == "status" and self.status is not None:
            await self.status.drop()
            self.status = None
        elif stream == "events" and self.events is not None:
            await self.connection.request_of(self.events).drop()
            self.events = None
        elif stream == "audio" and self.audio is not None:
            await self.audio.request.drop()
            self.audio = None

    async def vanish(self) -> None:
        for stream in ("audio", "status", "events"):
            await self.drop(stream)

    async def press(self, button: Button, action: Action) -> None:
        if self.events is None:
            return
        asks = {Button.PLAY} | (
            {Button.MODE} if self.rules.mode_while_playing == "switch" else set()
        )
        self.asked += button in asks and action is Action.PRESS
        with trio.fail_after(0.001):
            await self.events.press(button, action)

    async def wait(self, for_s: float) -> None:
        await trio.sleep(for_s)

    async def stall(self) -> None:
        if self.audio is not None:
            self.audio.stalled = True
            self.audio.sink.give(-math.inf)

    async def resume(self) -> None:
        if self.audio is not None:
            self.audio.sink.give(math.inf)

    async def drip(self, room_bytes: int) -> None:
        """Room for so many bytes and then none."""
        await self.stall()
        if self.audio is not None:
            self.audio.sink.give(math.inf)
            self.audio.sink.limit(room_bytes)

    async def change(self, count: int) -> None:
        """There are other clips, and so many of them; each take tells which it is of."""
        self.changes += 1
        self.devices.change_clips(
            [make_clip(50 + 20 * mode, f"clip{mode} of {self.changes}") for mode in range(count)]
        )

    async def announce(self, packets: int, priority: int) -> None:
        device = self.devices.by_id.get("x")
        told = Told(f"clip-n{len(self.announced)}", packets, priority)
        if device is not None and device.announce(told):
            self.announced.append(told)

    async def operator_play(self, mode: int) -> None:
        if (device := self.devices.by_id.get("x")) is not None:
            self.asked += device.play(mode)

    async def operator_stop(self) -> None:
        if (device := self.devices.by_id.get("x")) is not None:
            device.stop()

    # -- what must hold

    def check(self) -> None:
        self._check_leds()
        for heard in self.everything:
            flags = heard.sink.flags
            assert is_grammatical(flags) or is_grammatical(flags + "E"), flags
        starts = sum(heard.sink.flags.count("S") for heard in self.everything)
        assert starts <= self.asked + 2 * len(self.announced)

    def _check_leds(self) -> None:
        device = self.devices.by_id.get("x")
        if self.status is None or device is None:
            return
        if device.display.status.greeting is None:
            assert self.status.shown.leds == leds(device.state)
            assert device.state.mode < max(5, len(self.devices.clips))
        else:
            assert self.status.shown.leds in STARTUP_FRAMES

    async def check_end(self) -> None:
        """All is read and nobody presses any more: it falls silent, idle, and well closed."""
        await self.resume()
        await trio.sleep(20 * max(clip.duration_s for clip in CLIPS))
        self.check()
        device = self.devices.by_id.get("x")
        assert device is None or device.state.playing is None
        for heard in self.everything:
            assert is_grammatical(heard.sink.flags), heard.sink.flags
            for take in self.takes_of(heard):
                check_pace(take, steady=not heard.stalled)
        for told in self.announced:
            self._check_announced(told)

    def takes_of(self, heard: Heard) -> list[list[Sent]]:
        """The takes of clips."""
        return takes(heard.sink.packets)

    def _check_announced(self, told: Told) -> None:
        """It was waiting or playing, and came to one end; if that was the end of its sound, all of
        that was sent, in one take."""
        *before, last = told.hearings
        assert last.is_over
        assert before in (
            [Hearing.WAITING],
            [Hearing.PLAYING],
            [Hearing.WAITING, Hearing.PLAYING],
        )
        event(f"announcement {last}")
        if last is Hearing.HEARD:
            assert before[-1] is Hearing.PLAYING
            sent = [take for heard in self.everything for take in takes(heard.sink.packets)]
            whole = [packet.data for packet in parse(told.source.frames)]
            assert [packet.data for take in sent for packet in take if is_of(told, packet)] == whole


def is_of(told: Told, packet: Sent) -> bool:
    return packet.data.startswith(f"{told.id}:".encode())


def takes(packets: list[Sent]) -> list[list[Sent]]:
    """The packets of a stream by takes; the silence that closes one is not sound of it."""
    made: list[list[Sent]] = []
    for packet in packets:
        if packet.is_start:
            made.append([])
        if packet.data.startswith(b"clip"):
            made[-1].append(packet)
    return made


def check_pace(take: list[Sent], *, steady: bool) -> None:
    """Play a take as a device would: never more ahead than the lead, and no hole in it.

    The player stands still when it has run dry, which only a stall may bring about.
    """
    names = {packet.data.split(b":")[0] for packet in take}
    indexes = [int(packet.data.split(b":")[1].rstrip(b".")) for packet in take]
    assert len(names) == 1
    assert indexes == list(range(indexes[0], indexes[0] + len(take)))
    played_s, then = 0.0, take[0].at_s
    for index, packet in enumerate(take):
        elapsed = played_s + packet.at_s - then
        assert not steady or elapsed <= index * PACKET_S + 1e-6 or index == 0
        played_s, then = min(elapsed, index * PACKET_S), packet.at_s
        assert (index + 1) * PACKET_S - played_s <= LEAD_S + 1e-6


async def live(rules: Rules, history: list[tuple[Any, ...]]) -> None:
    devices = Devices(CLIPS, rules, LEAD_S)
    async with running(devices) as nursery:
        world = World(devices, nursery, rules)
        await world.reconnect()
        for step, *arguments in history:
            await getattr(world, step)(*arguments)
            await wait_all_tasks_blocked()
            world.check()
        await world.check_end()
        event(f"takes: {min(10, sum(h.sink.flags.count('S') for h in world.everything))}")


@given(all_rules, histories)
@settings(max_examples=300, deadline=None)
def test_any_history_keeps_the_contract(rules: Rules, history: list[tuple[Any, ...]]) -> None:
    trio.run(live, rules, history, clock=MockClock(autojump_threshold=0))
