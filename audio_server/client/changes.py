"""Changes of devices, for programs."""

from __future__ import annotations

from collections.abc import Callable

from audio_server.client.api import open_api
from audio_server.client.connection import Document
from audio_server.client.errors import ServerError
from audio_server.client.server import Server


async def tell_changes(server: Server, tell: Callable[[Document], None]) -> None:
    """Pass on all devices, then each change, until cancelled.

    The key `event` tells the two apart. Raises `ServerError`, in a group, when the server goes
    away.
    """
    async with open_api(server) as api, api.changes() as events:
        async for event, document in events:
            tell({"event": event, **document})
    raise ServerError(f"{server.url}: has ended this")
