"""The credentials of a request, for as long as it is answered.

An answer may go on for days (server-sent events, a WebSocket). It ends soon after its cookie or its
token does: nothing more is read from its client, and nothing more is sent. An answer that is sent
in one piece is not taken back.
"""

from __future__ import annotations

import time

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from audio_server.web.edge import SessionEnded
from audio_server.web.login import Login

ENDED_CODE = 4401
"""A page comes back at once, and is led to the login page."""


class Session:
    """Of a request that was let in just now."""

    def __init__(self, scope: Scope, login: Login) -> None:
        self._scope = scope
        self._login = login
        self._version = login.version

    def receiving(self, receive: Receive, send: Send) -> Receive:
        """Receive until the session ends; then raise `SessionEnded`."""

        async def checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                await self._check(send)
            return message

        return checked

    def sending(self, send: Send) -> Send:
        """Send until the session ends; then raise `SessionEnded`."""

        async def checked(message: Message) -> None:
            if message["type"] == "websocket.send" or message.get("more_body"):
                await self._check(send)
            await send(message)

        return checked

    async def _check(self, send: Send) -> None:
        if self._login.version == self._version:
            return
        if not self._is_good():
            if self._scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": ENDED_CODE, "reason": "logged out"})
            raise SessionEnded
        self._version = self._login.version

    def _is_good(self) -> bool:
        asked = HTTPConnection(self._scope)
        if (given := asked.headers.get("authorization")) is not None:
            return self._login.is_token(given.partition(" ")[2].strip())
        cookie = self._login.cookie_of(asked)
        return self._login.is_cookie(cookie, time.time())
