"""Events over a WebSocket, for pages: the same that programs get as server-sent events.

A browser allows six connections to one server over HTTP/1.1, for all its tabs together. An event
stream holds one of them for as long as its page is open, so from the seventh page on no request of
any page, a Stop either, got through. WebSockets are counted apart from those six.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeVar

import trio
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from audio_server.fleet.fleet import Fleet
from audio_server.web.api.bodies import read_query
from audio_server.web.api.devices import full_reason, worded
from audio_server.web.api.events import cancel_when_gone, next_text
from audio_server.web.api.listing import window_of
from audio_server.web.api.models import Watching
from audio_server.web.api.operation import Problem

RESTARTED: Final = 1012
FULL: Final = 4003
"""Codes of a close: the page begins again at once, or later and with the reason on display."""

UNKNOWN: Final = 1008
"""Code of a close for parameters that are not understood."""

REASON_MAX: Final = 100
"""Characters of the reason of a close, which has 123 bytes at most."""

BEGIN: Final = ": here it begins\n\n"

T = TypeVar("T")


class LiveEvents:
    """Each text is one event, as `text/event-stream` has it, or a comment when there is none."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @property
    def routes(self) -> list[BaseRoute]:
        """At the addresses of the same events for programs."""
        return [
            WebSocketRoute("/api/devices/changes", self.watch),
            WebSocketRoute("/api/events", self.follow),
        ]

    async def watch(self, websocket: WebSocket) -> None:
        """Tell of the devices that the query asks for, then of changes."""
        if await self._accept(websocket):
            try:
                query = read_query(websocket, Watching)
            except Problem as problem:
                await websocket.close(UNKNOWN, str(problem)[:REASON_MAX])
                return
            await tell(websocket, self._fleet.watching(window_of(query), query.offset), bytes)

    async def follow(self, websocket: WebSocket) -> None:
        """Send the events of all devices, or of the device that the query names."""
        if await self._accept(websocket):
            device_id = websocket.query_params.get("device")
            await tell(websocket, self._fleet.following(device_id), worded)

    async def _accept(self, websocket: WebSocket) -> bool:
        await websocket.accept()
        if self._fleet.is_full:
            await websocket.close(FULL, full_reason())
            return False
        return True


async def tell(
    websocket: WebSocket,
    opened: AbstractContextManager[trio.MemoryReceiveChannel[T]],
    word: Callable[[T], bytes],
) -> None:
    """Send the items of the channel of `opened`, until it ends or the page is gone. Closes the
    WebSocket, which has been accepted."""
    with opened as events:
        await websocket.send_text(BEGIN)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when_gone, websocket.receive, nursery.cancel_scope)
            while (text := await next_text(events, word)) is not None:
                await websocket.send_text(text.decode())
            nursery.cancel_scope.cancel()
    if websocket.client_state is WebSocketState.CONNECTED:
        await websocket.close(RESTARTED)
