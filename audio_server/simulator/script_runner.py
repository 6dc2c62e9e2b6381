"""Running a script on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import trio
from trio_util import AsyncValue

from audio_server.simulator import events
from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.device import Link, VirtualDevice
from audio_server.simulator.errors import CannotConnect
from audio_server.simulator.script import Step

TAKE_BEGINS_S = 1.0
"""How long `until-end` waits for a take to begin."""

_PRESSES = (Button.MODE, Button.PLAY, Button.PLAY, Button.STOP, Button.CONNECT)


class ScriptRunner:
    """Runs the steps of a script on one device. Also an observer: attach it to the device."""

    def __init__(
        self,
        device: VirtualDevice,
        address: str,
        *,
        seed: int,
        take_picture: Callable[[str], None],
    ) -> None:
        self._address = address
        self._device = device
        self._random = Random(seed)
        self._take_picture = take_picture
        self._refusal = ""
        self._take_due = AsyncValue(False)
        self._take_open = AsyncValue(False)
        self._plays_queued = 0
        self._heard_s = float("-inf")

    def __call__(self, at_s: float, event: events.Event) -> None:
        match event:
            case events.Connecting():
                self._refusal = ""
            case events.ConnectFailed(reason):
                self._refusal = reason
            case events.EventSent(Button.PLAY, Action.PRESS):
                self._plays_queued -= 1
            case events.PacketReceived():
                self._hear_packet(at_s, event)
            case events.Disconnected():
                self._take_open.value = False

    def _hear_packet(self, at_s: float, packet: events.PacketReceived) -> None:
        if packet.is_start and not self._plays_queued:
            self._take_due.value = False
        self._heard_s = max(at_s, self._heard_s) + events.PACKET_S
        self._take_open.value = not packet.is_end

    async def perform(self, steps: Sequence[Step]) -> None:
        """Take the steps, one after the other. Raises `CannotConnect`."""
        for step in steps:
            await self._perform(step)

    async def _perform(self, step: Step) -> None:  # noqa: C901 - one line for each word
        match step.name:
            case "connect" if self._device.is_on:
                self._device.press(Button.CONNECT)
            case "connect" | "on":
                await self._switch_on()
            case "off":
                await self._switch_off()
            case "reconnect":
                await self._switch_off()
                await self._switch_on()
            case "press" | "unset":
                self._press(step.button, step.action)
            case "wait":
                await trio.sleep(step.seconds)
            case "until-end":
                await self._until_end()
            case "deaf":
                self._device.pause_reading()
            case "hear":
                self._device.resume_reading()
            case "random":
                await self._at_random(step.seconds)
            case "picture":
                self._take_picture(step.file)

    async def _switch_on(self) -> None:
        self._device.switch_on()
        link = await self._device.link.wait_value(lambda link: link is not Link.CONNECTING)
        if link is not Link.ONLINE and self._refusal:
            raise CannotConnect(f"cannot connect to {self._address}: {self._refusal}")

    async def _switch_off(self) -> None:
        self._device.switch_off()
        await self._device.wait_off()

    def _press(self, button: Button, action: Action = Action.PRESS) -> None:
        if button is Button.PLAY and action is Action.PRESS:
            self._plays_queued += 1
            self._take_due.value = True
        self._device.press(button, action)

    async def _until_end(self) -> None:
        with trio.move_on_after(TAKE_BEGINS_S):
            await self._take_due.wait_value(False)
        await self._take_open.wait_value(False)
        await trio.sleep_until(self._heard_s)

    async def _at_random(self, seconds: float) -> None:
        """Act as any user might, for so long; the device is on and reads audio afterwards."""
        with trio.move_on_after(seconds):
            while True:
                await self._do_something()
                await trio.sleep(self._random.choice((0.0, 0.02, 0.2, 1.0)) * self._random.random())
        self._device.resume_reading()
        await self._switch_on()

    async def _do_something(self) -> None:
        chance = self._random.random()
        if chance < 0.08:
            await self._switch_off()
            await trio.sleep(self._random.choice((0.0, 0.0, 0.1)))
            await self._switch_on()
        elif chance < 0.12:
            await self._go_deaf()
        elif chance < 0.2:
            self._press(self._random.choice(list(Button)), self._random.choice(list(Action)))
        else:
            self._press(self._random.choice(_PRESSES))

    async def _go_deaf(self) -> None:
        self._device.pause_reading()
        try:
            await trio.sleep(self._random.random())
        finally:
            self._device.resume_reading()
