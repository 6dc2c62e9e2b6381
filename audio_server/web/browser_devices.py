"""The devices that pages have: which there are, and that each page has one of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog
from starlette.websockets import WebSocket

from audio_server.device.behaviour import MODES_MIN, State
from audio_server.device.leds import ERROR, IDLE, PLAYING, leds
from audio_server.simulator.device import VirtualDevice
from audio_server.web.context import Context
from audio_server.web.origins import is_own_origin, peer_of
from audio_server.web.websocket_bridge import Closing, WebSocketBridge
from audio_server.wire.device_ids import is_device_id

DEVICES_MAX = 64
"""How many pages may have a device at once: each costs a connection on both its ends."""

log = structlog.get_logger()


class BrowserDevices:
    """All pages with a device; `attend` is the life of one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._relays: dict[str, WebSocketBridge] = {}

    async def attend(self, websocket: WebSocket) -> None:
        """Give a page the device that it asks for until either is gone.

        A second page that asks for the same device takes it over.
        """
        headers, device_id = websocket.headers, websocket.query_params.get("id", "")
        if not is_own_origin(headers.get("origin"), headers.get("host")):
            await websocket.close(1008)  # before accepting: the answer is 403
            return
        await websocket.accept()
        if reason := self._refusal(device_id):
            await websocket.close(Closing.REFUSED, reason)
            return
        await self._lend(websocket, device_id)

    def _refusal(self, device_id: str) -> str | None:
        if reason := self._context.closed_because:
            return reason
        if not is_device_id(device_id):
            return "that is no device id"
        if len(self._relays) >= DEVICES_MAX and device_id not in self._relays:
            return f"{DEVICES_MAX} pages have a device already"
        return None

    async def _lend(self, websocket: WebSocket, device_id: str) -> None:
        if older := self._relays.get(device_id):
            older.end(Closing.TAKEN)
        device = VirtualDevice(device_id, self._context.open_channel)
        pcm = websocket.query_params.get("pcm") == "1"
        bridge = self._relays[device_id] = WebSocketBridge(websocket, device, pcm=pcm)
        peer = peer_of(websocket)
        log.info("page opened", device=device_id, peer=peer)
        try:
            hello = partial(self._hello, device_id)
            await bridge.run(hello, self._context.repository.version, self._context.over)
        finally:
            if self._relays.get(device_id) is bridge:
                del self._relays[device_id]
            log.info("page closed", device=device_id, peer=peer)

    def _hello(self, device_id: str) -> dict[str, Any]:
        """Return the names and colours with which a page describes LEDs."""
        titles = [(entry.name, entry.seconds) for entry in self._context.repository.entries]
        titles += [("", 0.0)] * (MODES_MIN - len(titles))
        modes = [
            {"name": name, "seconds": seconds, "leds": leds(State(mode))[2:]}
            for mode, (name, seconds) in enumerate(titles)
        ]
        states = {"idle": IDLE, "playing": PLAYING, "error": ERROR}
        return {"event": "hello", "id": device_id, "modes": modes, "states": states}
