"""The events of all nodes from now on: each node tells for two seconds, and is then asked again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog
import trio

from audio_server.cluster.interface import ClusterDown
from audio_server.fleet.event_numbers import PROCESSES
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Event
from audio_server.fleet.nodes_around import NodesAround
from audio_server.fleet.subscribers import BEHIND_MAX, SUBSCRIBERS_MAX

FOLLOWED_S = 2.0

SLACK_S = 1.0
"""How much later than that a node may end its answer."""

RECENT_S = 3.0
"""The events that a node tells first where it is asked for the first time: a device has come to it
since the last round, or it has been started."""

log = structlog.get_logger()


class EventsOfNodes:
    """Subscribers to the events of the node's `own` fleet and of the others. `run` must be
    running."""

    def __init__(self, own: Fleet, nodes: NodesAround) -> None:
        self._own = own
        self._nodes = nodes
        self._count = 0
        self._nursery: trio.Nursery | None = None

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return self._count >= SUBSCRIBERS_MAX

    @contextmanager
    def following(self, device_id: str | None) -> Iterator[trio.MemoryReceiveChannel[Event]]:
        """Give the events of one device, or of all (None), for the block."""
        send, receive = trio.open_memory_channel[Event](BEHIND_MAX)
        life = trio.CancelScope()
        self._count += 1
        if self._nursery is None:
            send.close()
        else:
            self._nursery.start_soon(self._follow, device_id, send, life)
        try:
            yield receive
        finally:
            self._count -= 1
            life.cancel()

    async def run(self) -> NoReturn:
        """Serve subscribers until cancelled; a cancel ends all subscriptions."""
        async with trio.open_nursery() as self._nursery:
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None
        raise AssertionError

    async def _follow(
        self, device_id: str | None, send: trio.MemorySendChannel[Event], life: trio.CancelScope
    ) -> None:
        """Follow for one subscriber. This is the edge where its faults end."""

        def tell(event: Event) -> None:
            try:
                send.send_nowait(event)
            except (trio.WouldBlock, trio.BrokenResourceError):
                life.cancel()  # it is too slow, and may begin anew

        with life, send:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._follow_others, device_id, tell)
                    with self._own.following(device_id) as events:
                        async for event in events:
                            tell(event)
                    nursery.cancel_scope.cancel()
            except* Exception:
                log.exception("events of other nodes cannot be told")

    async def _follow_others(self, device_id: str | None, tell: Any) -> NoReturn:
        last: dict[str, dict[int, int]] = {}  # of each process of a node
        recent_s = 0.0

        def hear(node: str, events: list[Event]) -> None:
            for event in events:
                last.setdefault(node, {})[event["seq"] % PROCESSES] = event["seq"]
                tell(event)

        while True:
            asked = {
                node: {
                    "device_id": device_id,
                    "after": last.get(node, {}),
                    "recent_s": recent_s,
                    "for_s": FOLLOWED_S,
                }
                for node in await self._nodes_of(device_id)
            }
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, FOLLOWED_S)
                await self._nodes.ask_some("follow_events", FOLLOWED_S + SLACK_S, asked, hear)
            recent_s = RECENT_S

    async def _nodes_of(self, device_id: str | None) -> list[str]:
        """Return the other nodes that may tell of a device."""
        if device_id is None:
            return list((await self._nodes.peers.around(FOLLOWED_S)).living)
        try:
            homes: Mapping[str, str] = await self._nodes.peers.homes([device_id])
        except ClusterDown:
            return []
        return [home for home in homes.values() if home != self._nodes.node]
