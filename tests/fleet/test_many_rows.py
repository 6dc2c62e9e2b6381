"""More devices than fit in the events that may wait for one who watches."""

from __future__ import annotations

import trio
from fleet_kit import next_event

from audio_server.fleet.broadcast import BEHIND_MAX, ROWS_MAX, Broadcast
from audio_server.fleet.change_tracker import Changes, EncodedRow
from audio_server.fleet.inventory import Inventory


async def test_whoever_begins_to_watch_has_time_to_take_all_rows() -> None:
    count = 3 * BEHIND_MAX * ROWS_MAX
    rows = {f"d{number}": EncodedRow(1, '"mode":0') for number in range(count)}
    feed = Broadcast(Inventory())
    with feed.watching() as events:
        await feed.tell(Changes(rows, []))
        assert not (await told_ids(events, count)) ^ rows.keys()
        await feed.tell(Changes(rows, []))  # as when they all play at once
        assert not (await told_ids(events, count)) ^ rows.keys()
        for _ in range(5 * BEHIND_MAX):
            await feed.tell(Changes({"d1": EncodedRow(1, '"mode":1')}, []))
        assert not feed.is_full
        waiting = events.statistics().current_buffer_used
        assert waiting < 5 * BEHIND_MAX  # and then it is let go
        assert len([one async for one in events]) == waiting


async def told_ids(events: trio.MemoryReceiveChannel[bytes], count: int) -> set[str]:
    ids: set[str] = set()
    while len(ids) < count:
        _, told = await next_event(events)
        ids |= {row["id"] for row in told["rows"]}
    return ids
