"""Devices on a road that loses packets; a process of its own, for it changes networks.

    python lossy_devices.py LOSS_PERCENT LATENCY_MS SECONDS

Prints as JSON what the oracles found. Exit status 3: the machine has no such road; it says why.
"""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio
from fault_house import Watched, serving_on
from lossy_road import HERE, LossyRoad, RoadUnavailable

from audio_server.rpc.client import channel_over
from audio_server.simulator.verdict import Limits

PORT = 50051
DEVICES = 10
TOLERANCE_S = 1.5
"""A lost packet comes again after 200 ms and the way there and back, and may be lost again."""


async def travel(road: LossyRoad, seconds: float) -> dict[str, Any]:
    """Live for so long on that road; what was broken, and what there was of it."""

    @asynccontextmanager
    async def connect() -> Any:
        plug = road.make(1, trio.socket.socket)
        await plug.connect((HERE, PORT))
        async with channel_over(trio.SocketStream(plug)) as channel:
            yield channel

    async with trio.open_nursery() as nursery:
        nursery.start_soon(road.run)
        road.enter(0)
        listeners = await trio.open_tcp_listeners(PORT, host=HERE)
        async with serving_on(listeners) as house:
            watched = [
                Watched(f"far-{n}", 0, Limits(tolerance_s=TOLERANCE_S)) for n in range(DEVICES)
            ]
            async with trio.open_nursery() as lives:
                for each in watched:
                    each.device._open_channel = connect
                    lives.start_soon(each.live, seconds)
            left = house.connections
        nursery.cancel_scope.cancel()
    return {
        "broken": [text for each in watched for text in each.broken()],
        "takes": [each.takes for each in watched],
        "connections": [each.connections for each in watched],
        "left": left,
        **road.packets,
    }


def main() -> int:
    """Travel, and tell."""
    loss, latency, seconds = map(float, sys.argv[1:])
    try:
        road = LossyRoad(loss / 100, latency / 1000)
    except RoadUnavailable as error:
        print(error)
        return 3
    print(json.dumps(trio.run(partial(travel, road, seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
