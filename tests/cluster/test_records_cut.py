"""Records that are read from an engine whose sessions break: none is left out."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import trio

from audio_server.cluster import records
from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.link import Session
from audio_server.cluster.records import CHANNEL, SharedRecords
from audio_server.cluster.scripts import RECORDS, RESTORE


class Engine:
    """An engine with names; a session breaks after so many calls."""

    def __init__(self, **versions: int) -> None:
        self.versions = versions
        self.calls_left = 1000

    async def call(self, script: str, key: str, *args: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if not self.calls_left:
            raise ClusterDown
        self.calls_left -= 1
        if script == RESTORE:
            self.versions.setdefault(key.removeprefix("as:r:"), args[0])
            return ["done"]
        assert script == RECORDS
        after, most, last_id, last = args
        has_all = not last_id or self.versions.get(last_id, 0) >= last
        found = sorted(version for version in self.versions.values() if version > after)[:most]
        ids = {version: device_id for device_id, version in self.versions.items()}
        return ["1" if has_all else "0", *(self.row(ids[version]) for version in found)]

    def row(self, device_id: str) -> str:
        return json.dumps([device_id, str(self.versions[device_id]), device_id, "", "", "", ""])

    async def serve(self, node: SharedRecords, calls: int = 1000) -> None:
        """Have a session, which ends with its calls or once all is read."""
        self.calls_left = calls
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run, node, self)
            with trio.move_on_after(1):
                while not node.is_up and self.calls_left:
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()


async def _run(node: SharedRecords, engine: Engine) -> None:
    try:
        await node.run(cast(Session, engine))
    except* ClusterDown:
        pass  # as the link does


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PAGE", 2)
    monkeypatch.setattr(records, "AT_ONCE", 1)


async def test_news_do_not_stand_for_the_records_before_them() -> None:
    engine, node = Engine(a=1, b=2, c=3, d=4), SharedRecords()
    await engine.serve(node, calls=1)
    assert set(node.names) <= {"a", "b"}
    engine.versions["e"] = 5
    node.heard(CHANNEL, engine.row("e"))
    await engine.serve(node)
    assert sorted(node.names) == ["a", "b", "c", "d", "e"]
    engine.versions["f"] = 6
    await engine.serve(node, calls=2)  # no more than is new
    assert "f" in node.names


async def test_lost_records_are_all_restored() -> None:
    engine, node = Engine(a=1, b=2, c=3), SharedRecords()
    await engine.serve(node)
    engine.versions["a"] = 4  # the newest, and the first to be restored
    node.heard(CHANNEL, engine.row("a"))
    engine.versions = {}
    for calls in (2, 3, 1000):
        await engine.serve(node, calls)
    assert engine.versions == {"a": 4, "b": 2, "c": 3}
    assert sorted(node.names) == ["a", "b", "c"]


async def test_records_that_are_gone_are_dropped_though_the_session_breaks() -> None:
    engine, node = Engine(a=1, b=2, c=3), SharedRecords()
    await engine.serve(node)
    node._left_at = -2 * records.AWAY_MAX_S
    engine.versions = {"b": 2, "d": 4, "e": 5}
    await engine.serve(node, calls=2)
    await engine.serve(node)
    assert sorted(node.names) == ["b", "d", "e"]
