"""An offender's connection beside that of a healthy device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from hyperframe.frame import Frame, WindowUpdateFrame
from raw_peer import RawPeer, framed
from serving import HandlerFunc, Served, echo, packet, serving
from trio.testing import wait_all_tasks_blocked

from audio_server.rpc.server_connection import Services

ENHANCE_YOUR_CALM = 11

PRESSES, SOUND = 1, 3
"""The calls of the healthy device."""

PACKET_S = 0.1
LATE_S = 0.05
MESSAGE_BYTES = 25


@asynccontextmanager
async def beside_a_healthy_device(
    services: Services | HandlerFunc = echo, **options: Any
) -> AsyncIterator[Served]:
    """An offender's connection; on another one a device is answered, and gets its sound, on time
    all the while.

    That nothing of the offender is left is seen to by `serving`.
    """
    async with serving(serve_device) as healthy, trio.open_nursery() as nursery:
        await healthy.peer.open(PRESSES)
        await healthy.peer.open(SOUND, ("kind", "sound"))
        nursery.start_soon(stay_healthy, healthy.peer)
        async with serving(services, **options) as served:
            yield served
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def serve_device(call: Any) -> None:
    """Echo what comes, or send a packet now and every tenth of a second."""
    if call.metadata.get("kind") != "sound":
        await echo(call)
        return
    due = trio.current_time()
    while True:
        await call.send_framed(framed(packet(20)))
        due += PACKET_S
        await trio.sleep_until(due)


async def stay_healthy(peer: RawPeer) -> None:
    """What is sent must be back at once, and each packet there when it is due."""
    start, count = trio.current_time(), 0
    while True:
        count += 1
        await peer.message(PRESSES, packet(20))
        packets = int((trio.current_time() - start) / PACKET_S + 1e-6) + 1
        with trio.fail_after(LATE_S):
            await peer.received(PRESSES, MESSAGE_BYTES * count)
            await peer.received(SOUND, MESSAGE_BYTES * packets)
        peer.frames.clear()
        await peer.send(*(WindowUpdateFrame(n, window_increment=500) for n in (0, PRESSES, SOUND)))
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
