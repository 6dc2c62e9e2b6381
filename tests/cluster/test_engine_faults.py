"""An engine that is down, slow, full, wrong or forgetful: a node goes on, and heals by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
import trio
from engine import EngineProcess, open_engine
from members import Member, Road, member, open_road, until
from valkey_nodes import CLOCK

from audio_server.cluster import valkey
from audio_server.device.attachment import Superseded

Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def own_engine() -> Iterator[EngineProcess]:
    """An engine that keeps each write before it answers."""
    with open_engine("--appendonly", "yes", "--appendfsync", "always") as engine:
        yield engine


def mode_of(engine: EngineProcess, device_id: str) -> str | None:
    found = engine.ask("HGET", f"as:d:{device_id}", "m")
    return None if found is None else str(found)


@asynccontextmanager
async def cut_member(
    engine: EngineProcess, *, is_up: bool = True
) -> AsyncIterator[tuple[Road, Member]]:
    """A node with a road to the engine, which is cut where the node is not to be up."""
    async with open_road(engine.port) as road:
        if not is_up:
            road.cut()
        async with member(f"redis://127.0.0.1:{road.port}", is_up=is_up) as node:
            yield road, node


def warnings(logs: Logs) -> list[str]:
    return [line["reason"] for line in logs if line["event"] == "cluster is down"]


# -- down


async def test_without_an_engine_a_device_is_let_in_after_a_second(logs: Logs) -> None:
    async with member("redis://127.0.0.1:1", is_up=False) as node:
        began = trio.current_time()
        assert await node.cluster.claim("x", 0) == (0, 0)
        assert trio.current_time() - began >= valkey.DOWN_S
        assert node.meter.provisional == 1
        await node.put("x", 0, 3)
        assert node.meter.from_memory == 1
        again = trio.current_time()
        assert await node.cluster.claim("x", 0) == (0, 3)
        await node.put("x", 0, 4)
        assert trio.current_time() - again < valkey.DOWN_S / 2
        assert node.meter.from_memory == 2
        node.cluster.release("x")
        assert node.meter.provisional == 0
    assert warnings(logs) == ["Connection refused"]


async def test_a_call_that_waits_longer_takes_no_mode_back(monkeypatch) -> None:
    """Three calls come on three connections; the first one in is pressed on at once."""
    monkeypatch.setattr(valkey, "DOWN_S", 0.1)
    later: list[int] = []
    async with member("redis://127.0.0.1:1", is_up=False) as node, trio.open_nursery() as nursery:

        async def late() -> None:
            await trio.sleep(0.05)
            later.append((await node.cluster.claim("x", 0)).mode)

        nursery.start_soon(late)
        assert (await node.cluster.claim("x", 0)).mode == 0
        node.cluster.put_mode("x", 0, 1)
    assert later == [1]


async def test_messages_of_others_change_nothing(engine: EngineProcess) -> None:
    async with member(engine.url) as node:
        claimed = await node.cluster.claim("x", 0)
        for message in ("", "hello", "moved", "moved x y", "moved 99", "later 1 x"):
            engine.ask("PUBLISH", f"as:n:{node.cluster.node}", message)
        await node.put("x", claimed.epoch, 2)
        assert node.cluster.is_up.value
        assert mode_of(engine, "x") == "2"


async def test_claims_after_a_break_share_one_reclaim(own_engine: EngineProcess) -> None:
    async with member(own_engine.url) as node:
        own_engine.kill()
        await node.wait_up(False)
        assert (await node.cluster.claim("x", 0)).epoch == 0
        own_engine.start()
        await node.wait_up()
        epochs: list[int] = []

        async def claim() -> None:
            epochs.append((await node.cluster.claim("x", 0)).epoch)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(claim)
        await node.wait_settled()
        assert len(set(epochs)) == 1
        assert own_engine.ask("HGET", "as:d:x", "e") == str(epochs[0])


async def test_all_is_written_when_the_engine_comes_back(
    own_engine: EngineProcess, logs: Logs
) -> None:
    async with member(own_engine.url) as node:
        known = await node.cluster.claim("known", 0)
        await node.put("known", known.epoch, 1)
        left = await node.cluster.claim("left", 0)
        await node.put("left", left.epoch, 2)
        own_engine.kill()
        await node.wait_up(False)
        assert not node.meter.is_up
        node.cluster.put_mode("known", known.epoch, 3)
        node.cluster.put_mode("left", left.epoch, 4)
        node.cluster.release("left")
        new = await node.cluster.claim("new", 0)
        node.cluster.put_mode("new", new.epoch, 2)
        assert new.epoch == 0
        assert await node.cluster.claim("known", 0) == (known.epoch, 3)
        own_engine.start()
        await node.wait_up()
        await node.wait_settled()
        assert node.meter.provisional == 0
        assert [mode_of(own_engine, one) for one in ("known", "left", "new")] == ["3", "4", "2"]
        assert ("known", known.epoch, 3) in node.reclaims
        async with member(own_engine.url) as other:
            assert (await other.cluster.claim("new", 0)).mode == 2
            assert (await other.cluster.claim("left", 0)).mode == 4
    assert warnings(logs) == ["the connection is lost", "Connection refused"]


@pytest.mark.parametrize("is_here", [True, False])
async def test_rows_that_the_engine_has_lost_come_back(is_here: bool) -> None:
    """It was started anew, with nothing."""
    with open_engine() as engine:
        async with member(engine.url) as node:
            claimed = await node.cluster.claim("x", 0)
            await node.put("x", claimed.epoch, 3)
            if not is_here:
                node.cluster.release("x")
            engine.kill()
            await node.wait_up(False)
            engine.start()
            await node.wait_up()
            if is_here:
                await node.wait_settled()
                assert mode_of(engine, "x") == "3"
            assert (await node.cluster.claim("x", 0)).mode == 3
            assert mode_of(engine, "x") == "3"


async def test_rows_that_are_lost_meanwhile_come_back(engine: EngineProcess) -> None:
    async with member(engine.url) as node:
        claimed = await node.cluster.claim("x", 0)
        await node.put("x", claimed.epoch, 3)
        engine.ask("FLUSHALL")
        assert await node.cluster.claim("x", 0) == (claimed.epoch, 3)
        engine.ask("FLUSHALL")
        await node.put("x", claimed.epoch, 2)
        assert mode_of(engine, "x") == "2"


async def test_a_device_that_is_new_here_gets_the_mode_it_had_when_the_engine_is_back(
    own_engine: EngineProcess,
) -> None:
    async with member(own_engine.url) as other:
        claimed = await other.cluster.claim("x", 0)
        await other.put("x", claimed.epoch, 3)
    async with cut_member(own_engine, is_up=False) as (road, node):
        assert await node.cluster.claim("x", 0) == (0, 0)
        road.heal()
        await node.wait_up()
        await node.wait_settled()
        ((device, epoch, mode),) = node.reclaims
        assert (device, mode) == ("x", 3)
        assert epoch > claimed.epoch


# -- a node that is cut from the engine, while others are not


async def test_a_device_that_leaves_a_cut_node_ends_there_when_it_heals(
    engine: EngineProcess,
) -> None:
    async with member(engine.url) as other, cut_member(engine) as (road, node):
        first = await node.cluster.claim("x", 0)
        await node.put("x", first.epoch, 1)
        road.cut()
        await node.wait_up(False)
        second = await other.cluster.claim("x", 0)
        assert second.mode == 1
        await node.put("x", first.epoch, 4)
        road.heal()
        await node.wait_moved()
        assert node.moves == [("x", second.epoch)]
        assert mode_of(engine, "x") == "1"
        await other.put("x", second.epoch, 2)
        assert (await other.cluster.claim("x", 0)).mode == 2


@pytest.mark.parametrize(("is_pressed", "mode"), [(True, 4), (False, 2)])
async def test_a_device_that_comes_back_to_a_cut_node_stays(
    engine: EngineProcess, is_pressed: bool, mode: int
) -> None:
    """In the newest mode: of the other node, or of a press after its return."""
    async with member(engine.url) as other, cut_member(engine) as (road, node):
        first = await node.cluster.claim("x", 0)
        await node.put("x", first.epoch, 1)
        road.cut()
        await node.wait_up(False)
        await node.put("x", first.epoch, 3)
        second = await other.cluster.claim("x", 0)
        await other.put("x", second.epoch, 2)
        await trio.sleep(0.05)
        back = await node.cluster.claim("x", 0)
        assert back.epoch == first.epoch
        if is_pressed:
            await node.put("x", back.epoch, 4)
        road.heal()
        await node.wait_up()
        await node.wait_settled()
        await other.wait_moved()
        ((_, epoch, shown),) = node.reclaims
        assert (shown, node.moves) == (mode, [])
        assert epoch > second.epoch
        assert other.moves == [("x", epoch)]
        assert mode_of(engine, "x") == str(mode)


async def test_a_write_after_news_that_was_lost_ends_the_device(engine: EngineProcess) -> None:
    async with member(engine.url) as one, member(engine.url) as two:
        first = await one.cluster.claim("x", 0)
        one.cluster._pushed = lambda _: None  # type: ignore[method-assign]
        engine.ask("HSET", "as:d:x", "e", first.epoch + 7, "n", two.cluster.node)
        await one.put("x", first.epoch, 3)
        assert one.moves == [("x", first.epoch + 7)]
        assert mode_of(engine, "x") is None


# -- silent and slow


async def test_an_engine_that_is_silent_counts_as_down_until_it_speaks(
    engine: EngineProcess, logs: Logs
) -> None:
    async with member(engine.url) as node:
        claimed = await node.cluster.claim("x", 0)
        engine.hang()
        try:
            began = trio.current_time()
            await node.wait_up(False)
            assert trio.current_time() - began < 3 * 2.0
            assert await node.cluster.claim("x", 0) == claimed
            await node.put("x", claimed.epoch, 1)
        finally:
            engine.go_on()
        await node.wait_up()
        await node.wait_settled()
        assert mode_of(engine, "x") == "1"
    assert warnings(logs)[0] == "it has been silent for 1.5 s"


async def test_a_road_that_falls_silent_is_noticed(engine: EngineProcess) -> None:
    async with cut_member(engine) as (road, node):
        road.hush()
        await node.wait_up(False)
        road.heal()
        await node.wait_up()


async def test_a_slow_engine_is_waited_for(engine: EngineProcess) -> None:
    async with member(engine.url) as node:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, engine.ask, "DEBUG", "SLEEP", "0.5")
            await trio.sleep(0.1)
            claimed = await node.cluster.claim("x", 0)
            assert claimed.epoch
            await node.put("x", claimed.epoch, 1)
        assert (node.meter.from_memory, node.meter.provisional) == (0, 0)
        assert node.meter.is_up


# -- full, flushed, guarded, old


async def test_a_full_engine_counts_as_down(own_engine: EngineProcess, logs: Logs) -> None:
    async with member(own_engine.url) as node:
        claimed = await node.cluster.claim("x", 0)
        own_engine.ask("CONFIG", "SET", "maxmemory", "1")
        await node.wait_up(False)
        assert await node.cluster.claim("x", 0) == claimed
        node.cluster.put_mode("x", claimed.epoch, 2)
        assert (await node.cluster.claim("new", 0)).epoch == 0
        own_engine.ask("CONFIG", "SET", "maxmemory", "0")
        await node.wait_up()
        await node.wait_settled()
        assert mode_of(own_engine, "x") == "2"
        assert node.meter.provisional == 0
    assert len(warnings(logs)) == 1
    assert warnings(logs)[0].startswith("OOM")


@pytest.mark.parametrize(
    ("memory", "policy", "is_warned_of"),
    [
        ("100mb", "allkeys-lru", True),
        ("100mb", "allkeys-random", True),
        ("100mb", "volatile-ttl", False),
        ("100mb", "noeviction", False),
        ("0", "allkeys-lru", False),
    ],
)
async def test_an_engine_that_may_drop_state_is_warned_of(
    own_engine: EngineProcess, logs: Logs, memory: str, policy: str, is_warned_of: bool
) -> None:
    own_engine.ask("CONFIG", "SET", "maxmemory", memory, "maxmemory-policy", policy)
    async with member(own_engine.url) as node:
        for _ in range(2):  # the second session has nothing new to say
            own_engine.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await node.wait_up(False)
            await node.wait_up()
    policies = [
        line["maxmemory_policy"] for line in logs if line["event"] == "engine may drop state"
    ]
    assert policies == [policy] * is_warned_of


async def test_an_engine_that_does_not_tell_its_policy_is_used(
    own_engine: EngineProcess, logs: Logs
) -> None:
    own_engine.ask("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
    own_engine.ask("ACL", "SETUSER", "default", "-info")
    async with member(own_engine.url) as node:
        assert (await node.cluster.claim("x", 0)).epoch
    assert "engine may drop state" not in [line["event"] for line in logs]


async def test_scripts_that_the_engine_has_forgotten_are_loaded_again(
    engine: EngineProcess,
) -> None:
    async with member(engine.url) as node:
        engine.ask("SCRIPT", "FLUSH")
        claimed = await node.cluster.claim("x", 0)
        assert claimed.epoch
        engine.ask("SCRIPT", "FLUSH")
        await node.put("x", claimed.epoch, 3)
        await node.wait_settled()
        assert mode_of(engine, "x") == "3"
        assert node.meter.from_memory == 0


SECRET = "not-to-be-shown"


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        (None, "it needs a password: --cluster-password-file"),
        ("not-to-be-shown-either", "it refuses the password"),
        (SECRET, None),
    ],
)
async def test_a_password_is_needed(logs: Logs, password: str | None, reason: str | None) -> None:
    with open_engine("--requirepass", SECRET) as engine:
        is_right = reason is None
        async with member(engine.url, is_up=is_right, password=password) as node:
            if not is_right:
                assert (await node.cluster.claim("x", 0)).epoch == 0
    assert warnings(logs) == ([] if reason is None else [reason])
    assert SECRET not in str(logs)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `secret`\r\n",
            "it does not speak RESP3: version 7 or newer is needed",
        ),
        (b"%1\r\n+version\r\n+6.2.14\r\n", "version 6.2.14 is too old: 7 or newer is needed"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the peer speaks another protocol"),
    ],
)
async def test_another_server_at_the_port(
    nursery: trio.Nursery, logs: Logs, answer: bytes, reason: str
) -> None:
    async def handle(stream: trio.SocketStream) -> None:
        while await stream.receive_some(1000):
            await stream.send_all(answer)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await nursery.start(trio.serve_listeners, handle, listeners)
    async with member(f"redis://127.0.0.1:{port}", is_up=False, password="secret") as node:
        assert (await node.cluster.claim("x", 0)).epoch == 0
    assert warnings(logs) == [reason]


async def test_a_replica_is_refused(engine: EngineProcess, logs: Logs) -> None:
    with open_engine("--replicaof", f"127.0.0.1 {engine.port}") as replica:
        async with member(replica.url, is_up=False):
            await until(lambda: bool(warnings(logs)))
    assert warnings(logs) == ["is a replica, not the primary"]


# -- the engine's clock


async def test_a_clock_that_is_set_back_lets_the_last_claim_win(engine: EngineProcess) -> None:
    engine.ask("SET", "test:clock", 7_200_000_000)
    async with (
        member(engine.url, clock=CLOCK) as one,
        member(engine.url, clock=CLOCK) as two,
    ):
        first = await one.cluster.claim("x", 0)
        await one.put("x", first.epoch, 3)
        engine.ask("SET", "test:clock", 3_600_000_000)
        second = await two.cluster.claim("x", 1)
        assert second.epoch > first.epoch
        assert second.mode == 3
        await two.put("x", second.epoch, 4)
        engine.ask("SET", "test:clock", 3_601_000_000)
        with pytest.raises(Superseded):
            await one.cluster.claim("x", 10)
        third = await one.cluster.claim("x", 0)
        assert third.epoch > second.epoch
        assert third.mode == 4


async def test_no_acknowledged_mode_is_lost_with_an_engine_that_is_killed(
    own_engine: EngineProcess,
) -> None:
    """None of those that were not acknowledged from memory; the node does not write them again."""
    kept: dict[str, int] = {}

    async def press(node: Member, device_id: str) -> None:
        claimed = await node.cluster.claim(device_id, 0)
        for mode in count(1):
            node.cluster.put_mode(device_id, claimed.epoch, mode)
            if not await node.cluster._unconfirmed.wait(device_id):
                return
            kept[device_id] = mode

    async with member(own_engine.url) as node, trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(press, node, f"device-{number}")
        await until(lambda: sum(kept.values()) > 500)
        own_engine.kill()
    own_engine.start()
    assert len(kept) == 20
    for device_id, mode in kept.items():
        assert int(mode_of(own_engine, device_id) or 0) >= mode
