"""Serve the devices of one process until it is stopped, then let them go in order."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
import trio

from audio_server.device.registry import Devices
from audio_server.rpc.server import Server

TAKES_END_S = 0.5
"""Time that a stopping server gives to the `is_end` of the takes."""

log = structlog.get_logger()


async def serve_on(
    listeners: Sequence[trio.abc.Listener[trio.SocketStream]],
    server: Server,
    devices: Devices,
    stop: trio.Event,
    grace_s: float,
    drain_s: float = 0.0,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `devices` until `stop` is set, then drain: one device after the other for `drain_s`,
    then all that are left within `grace_s`. Closes the listeners.

    `server` must serve the service of `devices`. A cancel ends all connections at once.
    """
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        await nursery.start(_abort_if_cancelled, server)
        async with trio.open_nursery() as connections:
            await connections.start(server.run, listeners)
            task_status.started()
            await stop.wait()
            log.info("stopping", drain_s=drain_s, grace_s=grace_s)
            if drain_s:
                await server.drain_gradually(drain_s)
            connections.cancel_scope.deadline = trio.current_time() + grace_s
            await _end(server, devices)
        nursery.cancel_scope.cancel()


async def _abort_if_cancelled(server: Server, *, task_status: trio.TaskStatus[None]) -> None:
    """End all connections without GOAWAYs when everything is cancelled; after a drain there are
    none."""
    try:
        task_status.started()
        await trio.sleep_forever()
    finally:
        server.abort()


async def _end(server: Server, devices: Devices) -> None:
    """End every take with its `is_end`, then every call with UNAVAILABLE."""
    server.stop_accepting()
    with trio.move_on_after(TAKES_END_S):
        await devices.end_takes()
    await server.drain()
