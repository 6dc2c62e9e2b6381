"""A device of the asyncio peers: its state, and events for its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from audio_server.wire.comms_pb2 import AudioPacket, DeviceEvent
from benchmarks.peers.common import CUT, PACKET_S, Options, State


class Device:
    """One device: presses come in, sound and changes of its LEDs come out."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.state = State()
        self.leds_changed = asyncio.Event()
        self.leds_changed.set()
        self.play_pressed = asyncio.Event()
        self.take_changed = asyncio.Event()

    def press(self, event: DeviceEvent) -> None:
        """Apply a press and wake the calls that it concerns."""
        take = self.state.take
        if not self.state.press(event):
            return
        self.leds_changed.set()
        if self.state.take != take:
            self.take_changed.set()
            if self.state.playing:
                self.play_pressed.set()

    async def sound(self) -> AsyncIterator[AudioPacket]:
        """All takes of the device for ever: each packet when it is due, `lead` packets early.

        With bursts several of them at once, and then none for `pause_s`.
        """
        loop = asyncio.get_running_loop()
        while True:
            await self.play_pressed.wait()
            self.play_pressed.clear()
            self.take_changed.clear()
            take, started = self.state.take, loop.time()
            for index, packet in enumerate(self.options.clip):
                due = started + PACKET_S * (index - self.options.lead)
                if due > loop.time():
                    await self._pause(due - loop.time() + self.options.pause_s)
                if self.state.take != take:
                    yield CUT
                    break
                yield packet
            else:
                self._ended()

    async def _pause(self, seconds: float) -> None:
        """Sleep; bursts are far apart, so that Play and Stop must not wait for the next one."""
        if not self.options.pause_s:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self.take_changed.wait(), seconds)

    def _ended(self) -> None:
        self.state.playing = False
        self.leds_changed.set()
