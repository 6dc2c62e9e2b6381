"""What comes for an application, on its way from the connection that reads it.

Hypercorn's way is a bounded channel that neither end ever closes: what comes for an application
that has answered and gone, or that reads nothing more, would wait in it for ever, and the
connection with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.task_group import TaskGroup, _handle
from hypercorn.typing import AppWrapper


class AppChannel:
    """Messages for one request or WebSocket; the last one says that its client is gone."""

    def __init__(self, size: int) -> None:
        self._send, self._receive = trio.open_memory_channel[Any](size)
        self._last: Any = None

    async def put(self, message: Any) -> None:
        """Wait for room for a message. What comes after the last one, which needs no room, or
        waits for room meanwhile, is dropped."""
        if message["type"].endswith(".disconnect"):
            self._last = message
            self._send.close()
            return
        try:
            await self._send.send(message)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return

    async def get(self) -> Any:
        """The next message; the last one any number of times."""
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            return self._last


class Tasks(TaskGroup):
    """Hypercorn's tasks of one connection, with such channels."""

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Any,
        send: Callable[[Any], Awaitable[None]],
    ) -> Callable[[Any], Awaitable[None]]:
        """Start an application; returns what hands it messages."""
        channel = AppChannel(config.max_app_queue_size)
        threads = (trio.to_thread.run_sync, trio.from_thread.run)
        self.spawn(_handle, app, config, scope, channel.get, send, *threads)
        return channel.put
