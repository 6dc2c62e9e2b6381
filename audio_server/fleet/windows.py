"""A window on the devices of all nodes for each page that watches: the rows that it wants, no more.

The window is chosen anew every two seconds; between, the nodes of its rows tell of changes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import msgspec
import structlog
import trio

from audio_server.fleet.broadcast import WATCHERS_MAX
from audio_server.fleet.change_tracker import LOOK_S
from audio_server.fleet.interface import Row
from audio_server.fleet.listing import Page, Wanted
from audio_server.fleet.row_news import is_news
from audio_server.fleet.rows_of_nodes import LIMIT, RowsOfNodes

FOLLOWED_S = 2.0

SLACK_S = 1.0
"""How much later than that a node may end its answer."""

AWAY_S = 10.0
"""How often a window on devices that are away, too, is chosen anew."""

LEFT_PAUSE_S = 0.5
"""Pause before a window is chosen anew because a device of it has left its node."""

BEHIND_MAX = 40
"""Events that may wait for one that watches; one with more is disconnected."""

log = structlog.get_logger()


class Windows:
    """Those that are open. `run` must be running."""

    def __init__(self, rows: RowsOfNodes) -> None:
        self._rows = rows
        self._open: dict[_Window, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def is_full(self) -> bool:
        """Whether as many are open as may be."""
        return len(self._open) >= WATCHERS_MAX

    @contextmanager
    def watching(
        self, wanted: Wanted, offset: int = 0
    ) -> Iterator[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block: `all` with the rows of the window, then `changes`
        with rows that are new in it or have changed, and ids of those that are `gone` from it. The
        window begins at a place of the list; `ids` are those in it, in their order."""
        send, receive = trio.open_memory_channel[bytes](BEHIND_MAX)
        window = _Window(self._rows, wanted, offset, send)
        life = self._open[window] = trio.CancelScope()
        if self._nursery is None:
            send.close()
        else:
            self._nursery.start_soon(self._follow, window, life)
        try:
            yield receive
        finally:
            del self._open[window]
            life.cancel()

    async def _follow(self, window: _Window, life: trio.CancelScope) -> None:
        """Follow a window. This is the edge where its faults end."""
        with life, window.send:
            try:
                await window.run()
            except* Exception:
                log.exception("devices of other nodes cannot be shown")

    async def run(self) -> NoReturn:
        """Serve windows until cancelled; a cancel closes all."""
        async with trio.open_nursery() as self._nursery:
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None
        raise AssertionError


class _Window:
    def __init__(
        self,
        rows: RowsOfNodes,
        wanted: Wanted,
        offset: int,
        send: trio.MemorySendChannel[bytes],
    ) -> None:
        self.send = send
        self._rows = rows
        self._wanted = wanted
        self._offset = offset
        self._shown: dict[str, Row] | None = None
        self._facts: Any = None

    async def run(self) -> None:
        """Tell until the channel is full."""
        try:
            while True:
                page, nodes, offset = await self._rows.page_of_nodes(
                    self._wanted, max_age_s=1.0, offset=self._offset
                )
                self._tell_page(page, offset, await self._rows.counts())
                again_at = trio.current_time()
                if self._wanted.includes_away:  # such a list is long
                    again_at += AWAY_S
                is_left = False
                while not is_left:
                    with trio.move_on_after(FOLLOWED_S + SLACK_S) as following:
                        await self._follow_rows(nodes, following)
                    is_left = following.cancelled_caught or trio.current_time() >= again_at
        except* (trio.WouldBlock, trio.BrokenResourceError):
            pass  # it begins anew with all rows of its window

    def _tell_page(self, page: Page, offset: int, counts: Mapping[str, int]) -> None:
        rows = {row["id"]: row for row in page.rows}
        limit = min(self._wanted.limit or LIMIT, LIMIT)
        facts = {
            "found": page.found,
            "limit": limit,
            "offset": offset,
            "ids": list(rows),
            "counts": counts,
            "missing": page.missing,
        }
        if self._shown is None:
            self._send("all", page.rows, [], facts)
        else:
            news = [row for key, row in rows.items() if is_news(self._shown.get(key), row)]
            gone = [device_id for device_id in self._shown if device_id not in rows]
            if news or gone or facts != self._facts:
                self._send("changes", news, gone, facts)
        self._shown, self._facts = rows, facts

    def _send(
        self, name: str, rows: Sequence[Row], gone: Sequence[str], facts: Mapping[str, Any]
    ) -> None:
        told = {"now": round(time.time(), 3), "rows": rows, "gone": gone, **facts}
        self.send.send_nowait(b"event: %s\ndata: %s\n\n" % (name.encode(), _json(told)))

    async def _follow_rows(self, nodes: Mapping[str, str], following: trio.CancelScope) -> None:
        """Tell of changes for a while; a device that leaves its node ends that early."""
        own = self._rows.nodes.node
        ids: dict[str, list[str]] = {}
        for device_id, node in nodes.items():
            if (self._shown or {}).get(device_id, {}).get("connected"):
                ids.setdefault(node, []).append(device_id)

        def hear(node: str, rows: Sequence[Row]) -> None:
            name = self._rows.nodes.peers.name_of(node)
            self._tell_rows([{**row, "node": name} for row in rows], following)

        asked = {
            node: {"device_ids": some, "for_s": FOLLOWED_S}
            for node, some in ids.items()
            if node != own
        }
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, FOLLOWED_S)
            if own in ids:
                nursery.start_soon(self._look, ids[own], following)
            await self._rows.nodes.ask_some("follow", FOLLOWED_S + SLACK_S, asked, hear)

    async def _look(self, device_ids: Sequence[str], following: trio.CancelScope) -> None:
        until = trio.current_time() + FOLLOWED_S
        while trio.current_time() < until:
            await trio.sleep(LOOK_S)
            self._tell_rows(await self._rows.own_rows(device_ids), following)

    def _tell_rows(self, rows: Sequence[Row], following: trio.CancelScope) -> None:
        assert self._shown is not None
        news = [row for row in rows if is_news(self._shown.get(row["id"]), row)]
        left = [row for row in news if not row["connected"]]
        if left:  # for another node, perhaps
            following.deadline = min(following.deadline, trio.current_time() + LEFT_PAUSE_S)
        news = [row for row in news if row["connected"] and row["id"] in self._shown]
        if news:
            self._shown |= {row["id"]: row for row in news}
            self._send("changes", news, [], {})


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
