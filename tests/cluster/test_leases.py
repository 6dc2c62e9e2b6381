"""Leases in a real engine: the first node has one, after an outage the oldest, and a dead one
none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from engine import EngineProcess
from members import until

from audio_server.cluster import engine_feeds
from audio_server.cluster.engine import parse_engine
from audio_server.cluster.engine_feeds import EngineFeeds
from audio_server.cluster.leases import Holder
from audio_server.cluster.link import Link
from audio_server.cluster.scripts import read_lease_scripts

KEY = "as:live:radio"


class Member:
    """A node that may want the lease."""

    def __init__(self, engine: EngineProcess, name: str) -> None:
        self.name = name
        self.feeds = EngineFeeds(Link(parse_engine(engine.url), read_lease_scripts()))
        self.told: list[str | None] = []
        self.lease = self.feeds.lease("radio", self._changed)

    def _changed(self, holder: Holder | None) -> None:
        self.told.append(None if holder is None else holder.name)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with self.feeds.joined(self.name):
            await self.feeds.is_up.wait_value(True)
            task_status.started()
            await trio.sleep_forever()

    async def wait_told(self, name: str | None) -> None:
        await until(lambda: bool(self.told) and self.told[-1] == name)


@pytest.fixture
async def members(
    engine: EngineProcess, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Member]]:
    monkeypatch.setattr(engine_feeds, "RENEW_S", 0.05)
    members = [Member(engine, name) for name in ("Küche", "b")]
    for member in members:
        await nursery.start(member.run)
    yield members
    nursery.cancel_scope.cancel()


async def test_the_first_has_it_until_it_gives_it_up(
    members: list[Member], engine: EngineProcess
) -> None:
    a, b = members
    a.lease.want()
    for member in members:
        await member.wait_told("Küche")
    b.lease.want()
    assert a.lease.is_here
    assert 0 < engine.ask("PTTL", KEY) <= 3000
    a.lease.drop()
    for member in members:
        await member.wait_told("b")
    b.lease.drop()
    await a.wait_told(None)
    assert engine.ask("EXISTS", KEY) == 0


async def test_the_row_of_a_dead_node_expires(members: list[Member], engine: EngineProcess) -> None:
    a, b = members
    engine.ask("HSET", KEY, "n", "dead", "l", "dead", "s", 0, "t", 0)
    await b.wait_told("dead")
    a.lease.want()
    await trio.sleep(0.2)
    assert a.told == ["dead"]
    engine.ask("PEXPIRE", KEY, 1)
    await b.wait_told("Küche")


@pytest.mark.parametrize(("age_s", "holder"), [(1, "b"), (6, "Küche")])
async def test_an_older_claim_takes_over_a_row_that_is_new(
    members: list[Member], engine: EngineProcess, age_s: int, holder: str
) -> None:
    a, b = members
    a.lease.want()
    await b.wait_told("Küche")
    begun = int(engine.ask("HGET", KEY, "t"))
    engine.ask("HSET", KEY, "t", begun - age_s * 1_000_000)
    b.lease.want()
    assert b.lease.wanted_since is not None
    b.lease.wanted_since -= 60
    await trio.sleep(0.3)
    for member in members:
        await member.wait_told(holder)


async def test_a_clock_that_is_set_back_takes_no_lease_away(
    members: list[Member], engine: EngineProcess
) -> None:
    a, b = members
    a.lease.want()
    await b.wait_told("Küche")
    for fact in ("s", "t"):  # as if the clock had been an hour ahead
        engine.ask("HSET", KEY, fact, int(engine.ask("HGET", KEY, fact)) + 3_600_000_000)
    b.lease.want()
    await trio.sleep(0.3)
    assert (a.told, b.told) == (["Küche"], ["Küche"])


async def test_a_node_that_ends_frees_what_it_has(
    members: list[Member], engine: EngineProcess
) -> None:
    a, _ = members
    c = Member(engine, "c")
    async with trio.open_nursery() as nursery:
        await nursery.start(c.run)
        c.lease.want()
        await a.wait_told("c")
        nursery.cancel_scope.cancel()
    await a.wait_told(None)


async def test_an_engine_that_is_full_grants_none_and_is_kept(
    members: list[Member], engine: EngineProcess
) -> None:
    a, b = members
    b.lease.want()
    await a.wait_told("b")
    engine.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        hall = a.feeds.lease("hall", lambda _: None)
        hall.want()
        await trio.sleep(0.3)
        assert hall.holder is None
        assert a.feeds.is_up.value
        assert b.lease.is_here  # one that is there is renewed
    finally:
        engine.ask("CONFIG", "SET", "maxmemory", 0)
    await until(lambda: hall.is_here)


async def test_messages_of_other_programs_are_dropped(
    members: list[Member], engine: EngineProcess
) -> None:
    a, b = members
    no_text = b"\x94\xa4held\xa1k\xa1n\xa1\xff"
    for data in ("", "hello", "\x91\xa3new", '["held", 1]', no_text):
        engine.ask("PUBLISH", "as:live", data)
    b.lease.want()
    await a.wait_told("b")
