"""One page and its device: events of the device go to the page, presses come back.

Events are JSON objects, each with its name in `event`; a packet of sound is binary (`pack`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any, NoReturn, TypeAlias

import structlog
import trio
from starlette.websockets import WebSocket, WebSocketDisconnect
from trio_util import AsyncValue

from audio_server.clips.opus_decoder import OpusDecoder
from audio_server.simulator.buttons import Button
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.events import (
    CallLost,
    CallReopened,
    ConnectFailed,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
)
from audio_server.web.origins import peer_of
from audio_server.wire.audio import SILENCE

FULL, ROOM = 250, 50
"""How many messages a page may be behind before its device stops reading, and reads again."""

BEAT_S = 5.0
"""How often a page is sent something at least: one that hears nothing for longer takes the server
for gone, since no browser tells a page of WebSocket pings."""

QUEUE_MAX = 1000
PRESSES_MAX = 64

Hello: TypeAlias = Callable[[], dict[str, Any]]

log = structlog.get_logger()


class Closing(IntEnum):
    """Why a page's WebSocket is closed; a page comes back by itself after a restart only."""

    RESTART = 1012
    UNCLEAR = 1008
    SLOW = 1013
    TAKEN = 4001
    REFUSED = 4003


class Flag(IntEnum):
    """The first byte of a packet. `CUT`: its take was cut, so the page drops its buffered sound."""

    START = 1
    END = 2
    CUT = 4


def pack(packet: PacketReceived, pcm: bytes) -> bytes:
    """A packet as a page gets it: flags (1 byte), length of the Opus packet (2 bytes, big
    endian), the packet, and the same as PCM where the page asked for it."""
    flags = packet.is_start * Flag.START | packet.is_end * Flag.END
    if packet.is_end and packet.data == SILENCE:
        flags |= Flag.CUT
    return struct.pack(">BH", flags, len(packet.data)) + packet.data + pcm


class WebSocketBridge:
    """Connects an accepted WebSocket and a device that does not run yet.

    With `pcm` the page cannot decode Opus, and gets sound decoded as well.
    """

    def __init__(self, websocket: WebSocket, device: VirtualDevice, *, pcm: bool) -> None:
        self._websocket = websocket
        self._device = device
        self._decoder = OpusDecoder() if pcm else None
        self._queue_in, self._queue_out = trio.open_memory_channel[str | bytes](QUEUE_MAX)
        self._scope = trio.CancelScope()
        self._closing: Closing | None = None
        self._sent_s = 0.0

    def end(self, why: Closing) -> None:
        """Take the device away from the page; `run` returns soon."""
        self._closing = self._closing or why
        self._scope.cancel()

    async def run(self, hello: Hello, version: AsyncValue[int], over: trio.Event) -> None:
        """Run until the page is gone, `end` is called or `over` is set. Closes the WebSocket.

        The page gets the value of `hello` first, and again for each `version` of it.
        """
        self._device.observers.append(self._observe)
        try:
            await self._bridge(hello, version, over)
        finally:
            self._device.observers.remove(self._observe)  # which leads back to the device

    async def _bridge(self, hello: Hello, version: AsyncValue[int], over: trio.Event) -> None:
        self._say(**hello())
        with self._scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._device.run)
                nursery.start_soon(self._tell_again, hello, version, version.value)
                nursery.start_soon(self._tell_link)
                nursery.start_soon(self._send)
                nursery.start_soon(self._end_when, over)
                nursery.start_soon(self._beat)
                await self._receive()
                self._scope.cancel()
        if self._closing is not None:
            with suppress(WebSocketDisconnect, RuntimeError):  # the page may be gone by itself
                await self._websocket.close(self._closing)

    async def _end_when(self, over: trio.Event) -> None:
        await over.wait()
        self.end(Closing.RESTART)

    # -- to the page

    def _say(self, event: str, **facts: Any) -> None:
        self._put(json.dumps({"event": event, **facts}))

    def _put(self, message: str | bytes) -> None:
        """Queue a message; a page that takes nothing for long loses its device."""
        try:
            self._queue_in.send_nowait(message)
        except trio.WouldBlock:
            self.end(Closing.SLOW)
        if self._queue_in.statistics().current_buffer_used >= FULL:
            self._device.pause_reading()

    async def _tell_again(self, hello: Hello, version: AsyncValue[int], told: int) -> None:
        while True:
            while version.value == told:
                await version.wait_transition()
            told = version.value
            self._say(**hello())

    async def _beat(self) -> NoReturn:
        while True:
            await trio.sleep(BEAT_S)
            self._say("beat")

    async def _tell_link(self) -> None:
        async for link in self._device.link.eventual_values():
            self._say("link", link=link.name.lower())

    async def _send(self) -> None:
        try:
            async for message in self._queue_out:
                if isinstance(message, str):
                    await self._websocket.send_text(message)
                else:
                    await self._websocket.send_bytes(message)
                if self._queue_out.statistics().current_buffer_used <= ROOM:
                    self._device.resume_reading()
        except WebSocketDisconnect:
            self._scope.cancel()

    def _observe(self, at_s: float, event: Event) -> None:
        match event:
            case PacketReceived():
                pcm = self._decoder.decode(event.data) if self._decoder else b""
                self._put(pack(event, pcm))
            case LedsSet():
                self._say("leds", leds=event.leds)
            case EventSent(button):
                self._sent_s = at_s
                self._say("sent", button=button.name.lower())
            case EventAcked(ack):
                self._say("acked", ack=ack, ms=round(1000 * (at_s - self._sent_s), 1))
            case Disconnected(reason) | ConnectFailed(reason):
                self._say("lost", reason=reason)
            case CallLost(call, reason):
                self._say("call lost", call=call.value, reason=reason)
            case CallReopened(call):
                self._say("call reopened", call=call.value)
            case _:
                pass

    # -- from the page

    async def _receive(self) -> None:
        try:
            while True:
                self._obey(await self._websocket.receive_text())
        except WebSocketDisconnect:
            return
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            peer = peer_of(self._websocket)
            log.warning("invalid message from browser", peer=peer, error=repr(error)[:200])
            self.end(Closing.UNCLEAR)

    def _obey(self, text: str) -> None:
        """Raises `ValueError`, `KeyError` or `RecursionError` for messages that no page of ours
        sends."""
        match json.loads(text):
            case {"power": True}:
                self._device.switch_on()
            case {"power": False}:
                self._device.switch_off()
            case {"press": str(name)} if name != "none":
                if self._device.queued < PRESSES_MAX:
                    self._device.press(Button[name.upper()])
            case _:
                raise ValueError(text[:100])
