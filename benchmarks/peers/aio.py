"""A device of the asyncio peers: its state, and events for those who follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

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

    def press(self, event: DeviceEvent) -> None:
        """Apply a press and wake those whom it concerns."""
        take = self.state.take
        if self.state.press(event):
            self.leds_changed.set()
            if self.state.playing and self.state.take != take:
                self.play_pressed.set()

    async def sound(self) -> AsyncIterator[AudioPacket]:
        """All takes of the device for ever: each packet when it is due, `lead` packets early."""
        loop = asyncio.get_running_loop()
        while True:
            await self.play_pressed.wait()
            self.play_pressed.clear()
            take, started = self.state.take, loop.time()
            for index, packet in enumerate(self.options.clip):
                due = started + PACKET_S * (index - self.options.lead)
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                if self.state.take != take:
                    yield CUT
                    break
                yield packet
            else:
                self._ended()

    def _ended(self) -> None:
        self.state.playing = False
        self.leds_changed.set()
