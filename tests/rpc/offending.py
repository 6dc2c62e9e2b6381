"""An offender's connection beside that of a healthy device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from hyperframe.frame import Frame
from raw_peer import RawPeer
from serving import Served, packet, serving
from trio.testing import wait_all_tasks_blocked

ENHANCE_YOUR_CALM = 11


@asynccontextmanager
async def beside_a_healthy_device(**options: Any) -> AsyncIterator[Served]:
    """An offender's connection; on another one a device must be answered all the while.

    That nothing of the offender is left is seen to by `serving`.
    """
    async with serving() as healthy, trio.open_nursery() as nursery:
        await healthy.peer.open(1)
        nursery.start_soon(stay_healthy, healthy.peer)
        async with serving(**options) as served:
            yield served
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def stay_healthy(peer: RawPeer) -> None:
    """An echo every half second must be back at once."""
    count = 0
    while True:
        count += 1
        await peer.message(1, packet(20))
        with trio.fail_after(0.1):
            await peer.received(1, 25 * count)
        peer.frames.clear()
        await trio.sleep(0.5)


async def calm_down(served: Served) -> bytes:
    """The connection ends with ENHANCE_YOUR_CALM; the reason it was given."""
    code, reason = await served.peer.ended_with()
    assert code == ENHANCE_YOUR_CALM
    await served.ended.wait()
    return reason


async def send_many(peer: RawPeer, frames: list[Frame]) -> None:
    """One at a time; the other side may close before they are all there."""
    with suppress(trio.BrokenResourceError):
        for frame in frames:
            await peer.send(frame)
