"""Events of devices, and changes of them, passed on one by one."""

from __future__ import annotations

from collections.abc import Callable

from audio_server.client.api import Api, open_api
from audio_server.client.connection import Document
from audio_server.client.server import Server, ServerError
from audio_server.client.words import moment
from audio_server.process.printable import printable

Tell = Callable[[Document], None]
"""Receives one event, or the document of one change."""


async def past(server: Server, device_id: str | None, tell: Tell) -> None:
    """Pass on the events that the server has kept, oldest first. Raises `ServerError`."""
    async with open_api(server) as api:
        await _tell_past(api, device_id, tell)


async def follow(server: Server, device_id: str | None, tell: Tell) -> None:
    """Pass on the events that the server has kept, and each later one until cancelled, each once.

    Raises `ServerError`, in a group, when the server goes away.
    """
    async with open_api(server) as api, api.following(device_id) as events:
        told = await _tell_past(api, device_id, tell)  # an event of the meantime is in both
        async for _, event in events:
            if event["seq"] not in told:
                tell(event)
    raise ServerError(f"{server.url}: has ended this")


async def changes(server: Server, tell: Tell) -> None:
    """Pass on all devices, then each change, until cancelled.

    The key `event` tells the two apart. Raises `ServerError`, in a group, when the server goes
    away.
    """
    async with open_api(server) as api, api.changes() as events:
        async for event, document in events:
            tell({"event": event, **document})
    raise ServerError(f"{server.url}: has ended this")


async def _tell_past(api: Api, device_id: str | None, tell: Tell) -> set[int]:
    """Return the numbers of the events passed on. With several workers they are in no order."""
    events = (await api.events(device_id))["events"]
    for event in events:
        tell(event)
    return {event["seq"] for event in events}


def line(event: Document) -> str:
    """A event for eyes."""
    device = printable(event["device"])
    return f"{moment(event['at'])}  {device}  {printable(event['text'])}"
