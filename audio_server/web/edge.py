"""The edge of the pages' application: no fault of a request goes further.

A client that is gone is no fault. Anything else is logged, and a request that has no answer yet is
given one.
"""

from __future__ import annotations

from typing import Final

import structlog
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from audio_server.web.origins import peer_of

FAILED: Final = "the server failed at that; its log says more"

PATH_SHOWN_MAX: Final = 200
"""Characters of a path in the log; a peer may send 16 KiB."""

log = structlog.get_logger()


class SessionEnded(Exception):
    """The credentials of a request have become invalid."""


class Edge:
    """Runs `app`; raises nothing but a cancel."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        failed = False
        try:
            await self._app(scope, receive, noting)
        except* (ClientDisconnect, WebSocketDisconnect, SessionEnded):
            pass
        except* Exception as faults:
            failed = True
            peer, path = peer_of(HTTPConnection(scope)), scope["path"][:PATH_SHOWN_MAX]
            log.error("request failed", peer=peer, path=path, exc_info=faults)
        if failed and not has_begun and scope["type"] == "http":
            await PlainTextResponse(f"{FAILED}\n", 500)(scope, receive, send)
