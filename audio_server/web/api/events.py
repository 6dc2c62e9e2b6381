"""Server-sent events: an answer that goes on until one of the two ends it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Generic, TypeVar

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from audio_server.web.api.operation import EVENTS

KEEP_ALIVE_S: Final = 15.0
"""How often a stream says something at least."""

T = TypeVar("T")


class EventStream(Response, Generic[T]):
    """Send the items of the channel of `opened`, each as the text that `worded` makes of it,
    until the channel ends or the client is gone."""

    def __init__(
        self,
        opened: AbstractContextManager[trio.MemoryReceiveChannel[T]],
        worded: Callable[[T], bytes],
    ) -> None:
        super().__init__(media_type=EVENTS)
        del self.headers["content-length"]
        self._opened = opened
        self._worded = worded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        with self._opened as happened:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            await _send(send, b": here it begins\n\n")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_when_gone, receive, nursery.cancel_scope)
                while (text := await next_text(happened, self._worded)) is not None:
                    await _send(send, text)
                nursery.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def next_text(
    happened: trio.MemoryReceiveChannel[T], worded: Callable[[T], bytes]
) -> bytes | None:
    """The next event, or a comment when there is none for long; None when it is over."""
    try:
        with trio.move_on_after(KEEP_ALIVE_S):
            return worded(await happened.receive())
    except trio.EndOfChannel:
        return None
    return b": still there\n\n"


async def _send(send: Send, text: bytes) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": True})


async def cancel_when_gone(receive: Receive, telling: trio.CancelScope) -> None:
    """Cancel the scope when the client of a request or a WebSocket is gone."""
    while not (await receive())["type"].endswith(".disconnect"):
        pass
    telling.cancel()
