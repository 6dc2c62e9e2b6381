"""Where a single take is tried, without a device round it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from fake_sink import FakeSink, make_clip

from audio_server.clips.clip import Clip
from audio_server.device.audio_stream import AudioStream
from audio_server.device.pace import Pace
from audio_server.device.playback import Playback
from audio_server.device.timer_wheel import TimerWheel

LEAD_S = 0.3
CLIP = make_clip(100)
"""Two seconds."""


@dataclass
class Stage:
    """A take and all it needs."""

    timer_wheel: TimerWheel
    sink: FakeSink
    stream: AudioStream

    def take(self, clip: Clip = CLIP, lead_s: float = LEAD_S, stall_s: float = 30) -> Playback:
        return Playback(clip, Pace(lead_s, stall_s), self.timer_wheel)

    async def play(self, clip: Clip = CLIP, lead_s: float = LEAD_S) -> float:
        """Play a clip to its end; how long that took."""
        begin = trio.current_time()
        await self.take(clip, lead_s).play(self.stream)
        return trio.current_time() - begin


def data(sink: FakeSink) -> list[bytes]:
    return [packet.data for packet in sink.packets]


def played(clip: Clip) -> list[bytes]:
    """What a device hears of a clip that is played to its end."""
    whole = FakeSink()
    for index in range(clip.packets):
        whole.send_nowait(clip.slice(index, index + 1))
    return data(whole)


@asynccontextmanager
async def stall_after(stage: Stage, when: float) -> AsyncIterator[trio.Nursery]:
    """Meanwhile the sink has no room from `when` on. Gives a nursery that ends with it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip, stage.sink, -math.inf, when, 1)
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()


async def drip(sink: FakeSink, room_bytes: float, interval_s: float, times: int) -> None:
    """Give a little room again and again."""
    for _ in range(times):
        await trio.sleep(interval_s)
        sink.give(room_bytes)
