"""Any history of presses, announcements, drops and stalls beside a live channel whose source comes,
goes, stalls and bursts keeps the grammar, the lead and the LEDs, and no sound is played late or
twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import trio
from fake_sink import Sent
from hypothesis import event, given, settings
from hypothesis import strategies as st
from kit import CLIPS, running
from test_device_histories import (
    LEAD_S,
    PACKET_S,
    Heard,
    World,
    announcements,
    connects,
    make_clip,
    plays,
    presses,
    stalls,
    streams,
    takes,
    waits,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.behaviour import Action, Button, Rules
from audio_server.device.live_channel import LiveChannel
from audio_server.device.live_flow import LOOK
from audio_server.device.live_take import BATCH
from audio_server.device.registry import Devices
from audio_server.wire.audio import SILENCE

PATIENCE_S = 1.0
LATE_MAX_S = 2 * LOOK * PACKET_S + LEAD_S + BATCH * PACKET_S
"""The longest that a packet is held, kept for those who join, and waits for its batch."""

all_rules = st.builds(
    partial(Rules, len(CLIPS) + 1),
    play_while_playing=st.sampled_from(["restart", "ignore", "queue"]),
    mode_while_playing=st.sampled_from(["keep", "stop", "switch"]),
    stop_goes=st.sampled_from(["home", "keep"]),
)

sources = st.one_of(
    st.tuples(st.just("on_air"), st.sampled_from([1.0, 1.0, 0.9, 1.1])),
    st.just(("off_air",)),
    st.tuples(st.just("hiccup"), st.floats(0.02, 8)),
)
to_the_channel = st.just(("tune",))
steps = st.one_of(
    to_the_channel, waits, sources, plays, presses, stalls, streams, connects, announcements,
    st.tuples(st.just("change"), st.sampled_from([1, 5, 6])), st.just(("operator_live",)),
)  # fmt: skip
histories = st.lists(steps, min_size=12, max_size=50)


@dataclass
class Air(World):
    """The last mode is that of a channel. `put_at` has the time of each packet of it."""

    channel: LiveChannel = field(default_factory=lambda: LiveChannel("radio", PATIENCE_S))
    put_at: list[float] = field(default_factory=list)
    sender: trio.CancelScope | None = None
    held_until: float = 0.0

    async def on_air(self, pace: float) -> None:
        """A source begins, slow or fast by a part of its speed; the one before has ended."""
        await self.off_air()
        self.sender = trio.CancelScope()
        self.nursery.start_soon(self._send, self.sender, PACKET_S / pace)
        await wait_all_tasks_blocked()

    async def _send(self, scope: trio.CancelScope, every_s: float) -> None:
        begun, sent = trio.current_time(), 0
        with scope, self.channel.sending():
            while True:
                await trio.sleep_until(max(begun + sent * every_s, self.held_until))
                self.channel.put(b"\xf8" + len(self.put_at).to_bytes(4, "big"))
                self.put_at.append(trio.current_time())
                sent += 1

    async def off_air(self) -> None:
        if self.sender is not None:
            self.sender.cancel()
            self.sender = None
            await wait_all_tasks_blocked()

    async def hiccup(self, seconds: float) -> None:
        """The source stands still; then all that it owes comes at once."""
        self.held_until = trio.current_time() + seconds

    async def change(self, count: int) -> None:
        self.changes += 1
        clips = [
            make_clip(50 + 20 * mode, f"clip{mode} of {self.changes}") for mode in range(count)
        ]
        self.devices.change_clips([*clips, self.channel])

    async def tune(self) -> None:
        """Go to the channel by the buttons, and play it."""
        modes = max(5, len(self.devices.clips))
        device = self.devices.by_id.get("x")
        if device is not None and self.events is not None:
            for _ in range((len(self.devices.clips) - 1 - device.state.mode) % modes):
                await self.press(Button.MODE, Action.PRESS)
            await self.press(Button.PLAY, Action.PRESS)

    async def operator_live(self) -> None:
        await self.operator_play(len(self.devices.clips) - 1)

    # -- what must hold

    async def check_end(self) -> None:
        await self.off_air()
        await super().check_end()
        heard = 0
        for one in self.everything:
            for take in live_takes(one.sink.packets):
                heard += 1
                self._check_take(take)
        event(f"live takes: {min(5, heard)}")

    def takes_of(self, heard: Heard) -> list[list[Sent]]:
        """Without those of the channel, which have no packet of a clip."""
        return [take for take in takes(heard.sink.packets) if take]

    def _check_take(self, take: list[Sent]) -> None:
        check_lead(take)
        sound = [(one.at_s, number_of(one)) for one in take if is_live(one)]
        assert all(later > number for (_, number), (_, later) in pairwise(sound))
        for at_s, number in sound:
            assert at_s - self.put_at[number] <= LATE_MAX_S


def is_live(packet: Sent) -> bool:
    return packet.data[:1] == b"\xf8" and packet.data != SILENCE


def number_of(packet: Sent) -> int:
    return int.from_bytes(packet.data[1:], "big")


def live_takes(packets: list[Sent]) -> list[list[Sent]]:
    """Whole takes with sound of the channel, silence within them included."""
    made: list[list[Sent]] = []
    for packet in packets:
        if packet.is_start:
            made.append([])
        made[-1].append(packet)
    return [take for take in made if any(map(is_live, take))]


def check_lead(take: list[Sent]) -> None:
    """Play a take as a device would: it is never more ahead than the lead."""
    played_s, then = 0.0, take[0].at_s
    is_cut = take[-1].is_end and take[-1].data == SILENCE
    for index, packet in enumerate(take[:-1] if is_cut else take):
        elapsed = played_s + packet.at_s - then
        played_s, then = min(elapsed, index * PACKET_S), packet.at_s
        assert (index + 1) * PACKET_S - played_s <= LEAD_S + 1e-6


async def live(rules: Rules, history: list[tuple[Any, ...]]) -> None:
    channel = LiveChannel("radio", PATIENCE_S)
    devices = Devices([*CLIPS, channel], rules, LEAD_S)
    async with running(devices) as nursery:
        world = Air(devices, nursery, rules, channel=channel)
        await world.reconnect()
        await world.on_air(1.0)
        for step, *arguments in history:
            await getattr(world, step)(*arguments)
            await wait_all_tasks_blocked()
            world.check()
        await world.check_end()


@given(all_rules, histories)
@settings(max_examples=150, deadline=None)
def test_any_history_beside_a_channel_keeps_the_contract(
    rules: Rules, history: list[tuple[Any, ...]]
) -> None:
    trio.run(live, rules, history, clock=MockClock(autojump_threshold=0))
