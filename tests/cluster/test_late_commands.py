"""Commands that lie on the way to the engine for long: none of them passes for a new one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from engine import EngineProcess
from members import Member, Road, member, open_road, until

from audio_server.cluster.engine_clock import EngineClock
from audio_server.device.attachment import Superseded


@asynccontextmanager
async def far_member(engine: EngineProcess) -> AsyncIterator[tuple[Road, Member]]:
    """A node with a road to the engine."""
    async with (
        open_road(engine.port) as road,
        member(f"redis://127.0.0.1:{road.port}") as node,
    ):
        yield road, node


async def test_a_claim_that_hung_on_the_way_wins_over_no_newer_one(engine: EngineProcess) -> None:
    """Inside of a session, and as a device that was let in."""
    outcomes: list[bool] = []
    async with far_member(engine) as (road, slow), member(engine.url) as quick:

        async def claim_late() -> None:
            with pytest.raises(Superseded):
                await slow.cluster.claim("x", 0)
            outcomes.append(slow.cluster.is_up.value)

        async with trio.open_nursery() as nursery:
            road.hush()
            nursery.start_soon(claim_late)
            await trio.sleep(0.2)
            claimed = await quick.cluster.claim("x", 0)
            road.heal()
        await quick.put("x", claimed.epoch, 3)
        assert outcomes == [True]
        assert quick.moves == []
        assert engine.ask("HGET", "as:d:x", "n") == quick.cluster.node


async def test_a_reclaim_that_hung_on_the_way_wins_over_no_newer_claim(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with far_member(engine) as (road, slow), member(engine.url) as quick:
        first = await slow.cluster.claim("x", 0)
        road.cut()
        await slow.wait_up(False)
        assert await slow.cluster.claim("x", 0) == first
        reclaim = slow.cluster._reclaim

        async def reclaim_late(*args) -> None:
            road.hush()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reclaim, *args)
                await trio.sleep(0.1)
                await quick.cluster.claim("x", 0)
                await trio.sleep(0.5)
                road.heal()

        monkeypatch.setattr(slow.cluster, "_reclaim", reclaim_late)
        road.heal()
        await slow.wait_moved()
        assert quick.moves == []
        assert slow.reclaims == []


async def test_no_command_of_a_session_that_is_over_is_obeyed_after_the_next_one(
    engine: EngineProcess,
) -> None:
    """It lay in a connection that hung, and that the engine still has."""
    async with far_member(engine) as (road, node):
        claimed = await node.cluster.claim("x", 0)
        road.hush_old()
        node.cluster.put_mode("x", claimed.epoch, 1)
        await node.wait_up(False)
        node.cluster.put_mode("x", claimed.epoch, 2)
        await node.wait_up()
        await node.wait_settled()
        assert engine.ask("HGET", "as:d:x", "m") == "2"
        road.heal()
        await until(lambda: len(road._cars) == 1)
        assert engine.ask("HGET", "as:d:x", "m") == "2"


async def test_a_session_ends_no_connection_of_another_node(engine: EngineProcess) -> None:
    async with member(engine.url) as other, far_member(engine) as (road, node):
        session = other.cluster._session
        for _ in range(3):
            road.cut()
            await node.wait_up(False)
            road.heal()
            await node.wait_up()
        assert other.cluster._session is session


def test_the_time_of_the_engine_is_known_as_well_as_its_quickest_answer() -> None:
    here = [100.0]
    clock = EngineClock(lambda: here[0])
    clock.told(99.0, 5.0)  # its clock is 5 to 6 s
    assert clock.nearest() == 5.0
    here[0] = 110.0
    clock.told(109.9, 15.9)  # 15.9 to 16.0 s
    assert clock.nearest() == pytest.approx(15.9)
    here[0] = 120.0
    clock.told(118.0, 25.0)  # 25 to 27 s: nothing new
    assert clock.nearest() == pytest.approx(25.9)
    here[0] = 130.0
    clock.told(129.9, 1.0)  # it was set back
    assert clock.nearest() == 1.0
