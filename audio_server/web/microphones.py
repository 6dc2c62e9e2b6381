"""The microphones of pages: a WebSocket that sends sound to a live channel.

Each message is one Opus packet. A page is told when the channel is its own, and by a close with a
reason when it is not, or no longer.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

import structlog
import trio
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audio_server.clips.opus import is_sendable, is_well_formed
from audio_server.device.live_channel import ChannelBusy, LiveChannel
from audio_server.live.pace import Pace
from audio_server.web.api.channels import BUSY, UNKNOWN
from audio_server.web.context import Context
from audio_server.web.origins import is_own_origin, peer_of

RESTART: Final = 1012
UNCLEAR: Final = 1008
REFUSED: Final = 4003
SILENT: Final = 4008

SILENT_S: Final = 10.0
"""How long a page may send nothing: a microphone that is muted sends packets of silence."""

SENDING: Final = json.dumps({"event": "sending"})
NOTHING_CAME: Final = f"nothing came for {SILENT_S:.0f} s"
ENDING: Final = "the server is stopping"
NO_PACKET: Final = "a message was no Opus packet of 20 ms, mono"

log = structlog.get_logger()


class Microphones:
    """All of them; each channel has one sender at a time, pages and programs together."""

    def __init__(self, context: Context) -> None:
        self._channels = {channel.name: channel for channel in context.channels}
        self._over = context.over

    @property
    def routes(self) -> list[BaseRoute]:
        """At the address at which programs send sound."""
        return [WebSocketRoute("/api/live/{name}", self.attend)]

    async def attend(self, websocket: WebSocket) -> None:
        """Take the sound of a page until either is gone. Closes the WebSocket."""
        headers = websocket.headers
        if not is_own_origin(headers.get("origin"), headers.get("host")):
            await websocket.close(UNCLEAR)  # before accepting: the answer is 403
            return
        await websocket.accept()
        channel = self._channels.get(websocket.path_params["name"])
        if channel is None:
            await websocket.close(REFUSED, UNKNOWN)
            return
        try:
            with channel.sending():
                code, reason = await self._sent(channel, websocket)
        except ChannelBusy:
            code, reason = REFUSED, BUSY
        with suppress(WebSocketDisconnect, RuntimeError):  # the page may be gone by itself
            await websocket.close(code, reason)

    async def _sent(self, channel: LiveChannel, websocket: WebSocket) -> tuple[int, str]:
        """Return why the sound has ended."""
        peer = peer_of(websocket)
        log.info("live sound begins", channel=channel.name, peer=peer)
        ended = 1000, ""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, self._over, nursery.cancel_scope)
                ended = RESTART, ENDING  # unless the page ends it
                ended = await _send(channel, websocket)
                nursery.cancel_scope.cancel()
        except WebSocketDisconnect:
            ended = 1000, ""
        finally:
            log.info("live sound ends", channel=channel.name, peer=peer)
        return ended


async def _cancel_when(over: trio.Event, scope: trio.CancelScope) -> None:
    await over.wait()
    scope.cancel()


async def _send(channel: LiveChannel, websocket: WebSocket) -> tuple[int, str]:
    """Put packets as they come, in real time at most; return why no more are taken."""
    await websocket.send_text(SENDING)
    pace = Pace()
    while True:
        with trio.move_on_after(SILENT_S) as waiting:
            message = await websocket.receive()
        if waiting.cancelled_caught:
            return SILENT, NOTHING_CAME
        if message["type"] == "websocket.disconnect":
            return 1000, ""
        packet = message.get("bytes")
        if not packet or not (is_sendable(packet) and is_well_formed(packet)):
            log.warning("invalid message from browser", peer=peer_of(websocket), error=NO_PACKET)
            return UNCLEAR, NO_PACKET
        await pace.next()
        try:
            channel.put(packet)
        except ChannelBusy:  # not in a group of the nursery
            return REFUSED, BUSY
