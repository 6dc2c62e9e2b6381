"""Names, tags and tokens of devices: the same at each node, and never lost with an engine."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest
import trio
from engine import EngineProcess, open_engine
from members import Member, member, open_road, until

from audio_server.cluster import records
from audio_server.cluster.interface import ClusterDown, ClusterSlow
from audio_server.identity.tokens import Enrolment


@pytest.fixture
def own_engine() -> Iterator[EngineProcess]:
    """An engine that keeps nothing on a disk."""
    with open_engine() as engine:
        yield engine


def enrolment(device_id: str, token: str = "secret") -> Enrolment:
    return Enrolment(device_id, sha256(token.encode()).digest(), "2026-01-02T03:04:05+00:00")


async def rename(node: Member, device_id: str, name: str | None) -> str:
    return await node.records.rename(device_id, name, is_known=True)


async def tag(node: Member, device_id: str, add: str = "", remove: str = "", most: int = 16) -> str:
    found = await node.records.tag({device_id: True}, add.split(), remove.split(), most)
    return found[device_id]


def names(node: Member) -> dict[str, str | None]:
    return dict(node.records.names)


async def test_a_name_is_at_all_nodes_at_once(engine: EngineProcess) -> None:
    async with member(engine.url) as one, member(engine.url) as two:
        began = trio.current_time()
        assert await rename(one, "x", "Küche") == "done"
        assert one.records.names == {"x": "Küche"}
        await until(lambda: two.records.names == {"x": "Küche"})
        assert trio.current_time() - began < 1
        assert await rename(two, "x", None) == "done"
        await until(lambda: one.records.names == {})
        assert [news.is_renamed for news in one.news] == [True, True]


async def test_of_two_names_the_last_one_counts_everywhere(engine: EngineProcess) -> None:
    async with member(engine.url) as one, member(engine.url) as two:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(rename, (one, two)[number % 2], "x", f"name {number}")
        kept = engine.ask("HGET", "as:r:x", "l")
        await until(lambda: one.records.names["x"] == two.records.names["x"] == kept)


async def test_tags_that_two_nodes_give_add_up(engine: EngineProcess) -> None:
    async with member(engine.url) as one, member(engine.url) as two:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(tag, (one, two)[number % 2], "x", f"t{number}")
        await until(lambda: two.records.tags.get("x") == tuple(f"t{n}" for n in range(8)))
        assert await tag(one, "x", "more", "t0 never-there") == "done"
        assert one.records.tags["x"] == ("more", *(f"t{n}" for n in range(1, 8)))
        assert await tag(one, "x", "one-too-many", most=8) == "full"
        assert await tag(one, "x", remove=" ".join(one.records.tags["x"])) == "done"
        await until(lambda: two.records.tags == {})


async def test_devices_that_nobody_knows_are_gone(engine: EngineProcess) -> None:
    async with member(engine.url) as one, member(engine.url) as two:
        assert await one.records.rename("x", "X", is_known=False) == "gone"
        assert await one.records.tag({"x": False}, ["a"], [], 16) == {"x": "gone"}
        assert await one.records.forget("x", is_known=False) == "gone"
        assert engine.ask("EXISTS", "as:r:x", "as:records") == 0
        await two.cluster.claim("x", 0)
        assert await one.records.rename("x", "X", is_known=False) == "done"


async def test_a_device_is_forgotten_by_all_unless_it_is_connected(engine: EngineProcess) -> None:
    async with member(engine.url) as one, member(engine.url) as two:
        claimed = await two.cluster.claim("x", 0)
        await two.put("x", claimed.epoch, 3)
        await rename(one, "x", "X")
        assert await one.records.enroll(enrolment("x")) == "done"
        assert await one.records.forget("x", is_known=True) == "connected"
        two.cluster.release("x")
        await until(lambda: engine.ask("HGET", "as:d:x", "h") is None)
        assert await one.records.forget("x", is_known=True) == "done"
        await until(lambda: two.news[-1].is_forgotten)
        assert (two.records.names, set(two.records.tokens)) == ({}, {"x"})
        assert engine.ask("EXISTS", "as:d:x") == 0


async def test_a_device_that_a_dead_node_had_is_forgotten(engine: EngineProcess) -> None:
    """A node that was killed has let none of its devices go."""
    async with member(engine.url) as one:
        for node, result in (("dead", "done"), (one.cluster.node, "connected")):
            engine.ask("HSET", "as:d:x", "e", 7, "n", node, "h", 1, "m", 3)
            assert await one.records.forget("x", is_known=True) == result


async def test_a_node_that_begins_reads_all_records(engine: EngineProcess) -> None:
    count = 2 * records.PAGE + 7
    async with member(engine.url) as one:
        ids = {f"device-{number}": True for number in range(count)}
        assert set((await one.records.tag(ids, ["a"], [], 16)).values()) == {"done"}
        await rename(one, "x", "X")
        await rename(one, "x", None)
    async with member(engine.url) as two:
        await two.wait_records()
        assert len(two.records.tags) == count
        assert two.records.names == {}
        assert all(news.is_late for news in two.news)


# -- down, slow, cut


async def test_nothing_changes_without_an_engine(own_engine: EngineProcess) -> None:
    async with member(own_engine.url) as node:
        await rename(node, "x", "X")
        own_engine.kill()
        await node.wait_up(False)
        began = trio.current_time()
        for change in (
            lambda: rename(node, "x", "Y"),
            lambda: tag(node, "x", "a"),
            lambda: node.records.forget("x", is_known=True),
            lambda: node.records.enroll(enrolment("x")),
            lambda: node.records.revoke("x"),
        ):
            with pytest.raises(ClusterDown) as caught:
                await change()
            assert caught.type is ClusterDown
        assert trio.current_time() - began < records.KEPT_S
        assert node.records.names == {"x": "X"}


async def test_a_slow_engine_is_given_a_second(engine: EngineProcess) -> None:
    async with member(engine.url) as node:
        engine.hang()
        try:
            began = trio.current_time()
            with pytest.raises(ClusterSlow):
                await rename(node, "x", "X")
            assert records.KEPT_S <= trio.current_time() - began < 3 * records.KEPT_S
            with pytest.raises(ClusterDown):
                await tag(node, "x", "a")
        finally:
            engine.go_on()
        await node.wait_up()
        await node.wait_records()
        assert names(node) == ({"x": "X"} if engine.ask("EXISTS", "as:r:x") else {})


async def test_a_cut_node_has_the_old_names_and_reads_the_new_ones_later(
    engine: EngineProcess,
) -> None:
    async with (
        member(engine.url) as other,
        open_road(engine.port) as road,
        member(f"redis://127.0.0.1:{road.port}") as node,
    ):
        await rename(other, "x", "X")
        await rename(other, "gone", "Gone")
        await other.records.enroll(enrolment("x"))
        await until(lambda: "x" in node.records.tokens)
        road.cut()
        await node.wait_up(False)
        await rename(other, "x", "new")
        await rename(other, "gone", None)
        await other.records.revoke("x")
        assert names(node) == {"x": "X", "gone": "Gone"}
        with pytest.raises(ClusterDown):
            await rename(node, "x", "mine")
        road.heal()
        await node.wait_up()
        await node.wait_records()
        assert names(node) == {"x": "new"}
        assert node.records.tokens == {}


async def test_a_node_that_was_away_for_days_reads_all_anew(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with member(engine.url) as other, member(engine.url) as node:
        await rename(other, "x", "X")
        await rename(other, "y", "Y")
        await until(lambda: len(node.records.names) == 2)
        monkeypatch.setattr(records, "AWAY_MAX_S", -1.0)
        for key in ("as:records", "as:records:blank"):
            engine.ask("ZREM", key, "y")
        engine.ask("DEL", "as:r:y")
        engine.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: names(node) == {"x": "X"})


# -- an engine that has lost something


async def test_records_that_the_engine_has_lost_come_back(own_engine: EngineProcess) -> None:
    """It was started anew, with nothing."""
    async with member(own_engine.url) as node:
        await rename(node, "x", "X")
        await tag(node, "x", "a b")
        await node.records.enroll(enrolment("y"))
        own_engine.kill()
        await node.wait_up(False)
        own_engine.start()
        await node.wait_up()
        await node.wait_records()
        async with member(own_engine.url) as other:
            await other.wait_records()
            assert names(other) == {"x": "X"}
            assert other.records.tags == {"x": ("a", "b")}
            assert other.records.tokens == {"y": enrolment("y")}


async def test_a_newest_change_that_the_engine_has_lost_comes_back(engine: EngineProcess) -> None:
    """So has a token that was taken away, after a replica without that took over."""
    async with member(engine.url) as node:
        await rename(node, "old", "Old")
        await node.records.enroll(enrolment("x"))
        before = engine.ask("ZSCORE", "as:records", "x")
        await node.records.revoke("x")
        engine.ask("HSET", "as:r:x", "t", enrolment("x").token_hash.hex(), "d", "then")
        engine.ask("ZADD", "as:records", before, "x")
        engine.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: engine.ask("EXISTS", "as:r:x") == 0)
        await node.wait_records()
        assert node.records.tokens == {}
        assert names(node) == {"old": "Old"}


async def test_a_newer_record_of_the_engine_stays(engine: EngineProcess) -> None:
    async with member(engine.url) as one:
        await rename(one, "x", "X")
        await rename(one, "y", "Y")
        engine.ask("ZREM", "as:records", "y")
        engine.ask("HSET", "as:r:x", "l", "newer")
        engine.ask("ZADD", "as:records", "9007199254740000", "x")
        engine.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: names(one) == {"x": "newer", "y": "Y"})


async def test_messages_of_others_change_nothing(engine: EngineProcess) -> None:
    async with member(engine.url) as node:
        await node.wait_records()
        for text in ("", "[]", '["x","1","X","","","",""', '["x","y","X","","","",""]', "[1,2]"):
            engine.ask("PUBLISH", "as:records", text)
        engine.ask("PUBLISH", "as:records", '["no id","1","X","","","",""]')
        engine.ask("PUBLISH", "as:records", '["x","1","X","","no hash","",""]')
        await rename(node, "y", "Y")
        assert names(node) == {"y": "Y"}
        assert node.cluster.is_up.value


# -- tokens


async def test_a_token_is_given_once_and_taken_away_everywhere(engine: EngineProcess) -> None:
    async with member(engine.url) as one, member(engine.url) as two:
        assert await one.records.revoke("x") == "gone"
        assert await one.records.enroll(enrolment("x")) == "done"
        assert await two.records.enroll(enrolment("x", "other")) == "there"
        await until(lambda: two.records.tokens == {"x": enrolment("x")})
        assert await two.records.enroll(enrolment("x", "other"), is_again=True) == "done"
        await until(lambda: one.records.tokens == {"x": enrolment("x", "other")})
        claimed = await two.cluster.claim("x", 0)
        assert await one.records.revoke("x") == "done"
        await until(lambda: two.records.tokens == {})
        await two.wait_moved()
        ((device_id, epoch),) = two.moves
        assert (device_id, epoch > claimed.epoch) == ("x", True)
        await two.put("x", claimed.epoch, 3)
        assert engine.ask("HGET", "as:d:x", "m") is None
        assert (await two.cluster.claim("x", 0)).epoch > epoch
