"""Records over a link of their own, for a process that is no node itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from audio_server.cluster.link import Link, Session
from audio_server.cluster.records import CHANNEL, SharedRecords

LOOK_S = 0.5
"""How often it is seen whether the engine still answers."""


@asynccontextmanager
async def following(link: Link, records: SharedRecords) -> AsyncIterator[None]:
    """Keep up with the records for the block."""

    async def begin(session: Session) -> None:
        session.subscribe(CHANNEL)
        await session.flush("TIME")
        link.came_up()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(records.run, session)
            while True:
                await trio.sleep(LOOK_S)
                await session.flush("TIME")

    def pushed(message: list[Any]) -> None:
        if message[0] == "message":
            records.heard(message[1], message[2])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, begin, pushed)
        yield
        nursery.cancel_scope.cancel()
