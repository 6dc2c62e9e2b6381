"""Changes of devices, for programs."""

from __future__ import annotations

from collections.abc import Callable

from audio_server.client.api import open_api
from audio_server.client.connection import Document
from audio_server.client.errors import ServerError
from audio_server.client.server import Server


async def tell_changes(server: Server, tell: Callable[[Document], None]) -> None:
    """Tell of all devices, then of what changes, until cancelled.

    What is told says in `event` which of the two it is. Raises `ServerError`, in a group, when
    the server goes away.
    """
    async with open_api(server) as api, api.changes() as events:
        async for event, document in events:
            tell({"event": event, **document})
    raise ServerError(f"{server.url}: has ended this")
