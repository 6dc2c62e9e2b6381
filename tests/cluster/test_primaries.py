"""Replicas, Sentinel, TLS and users of the engine: a primary that is replaced loses nothing."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio
from engine import Blocking, EngineProcess, SentinelProcess, open_engine
from free_ports import free_port
from members import Member, member, until

from audio_server.cluster.replicas import WAIT_MS
from audio_server.cluster.sightings import Seen
from audio_server.identity.dev_certs import make_dev_certs
from audio_server.identity.tls import client_context
from audio_server.identity.tokens import Enrolment

Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def primary() -> Iterator[EngineProcess]:
    with open_engine("--repl-diskless-sync-delay", "0") as engine:
        yield engine


@pytest.fixture
def replica(primary: EngineProcess) -> Iterator[EngineProcess]:
    with open_engine("--replicaof", f"127.0.0.1 {primary.port}") as engine:
        wait_synced(primary)
        yield engine


def wait_synced(primary: EngineProcess) -> None:
    """Return once the replica confirms writes: it is online up to a second before it has any."""
    with Blocking(primary.port) as client:
        client.ask("SET", "first", 1)
        assert client.ask("WAIT", 1, 20_000) == 1


def mode_of(engine: EngineProcess, device_id: str) -> str | None:
    found = engine.ask("HGET", f"as:d:{device_id}", "m")
    return None if found is None else str(found)


async def test_a_press_is_acknowledged_when_a_replica_has_it(
    primary: EngineProcess, replica: EngineProcess
) -> None:
    async with member(primary.url, replicas=1) as node:
        claimed = await node.cluster.claim("x", 0)
        for number in range(30):
            await node.put("x", claimed.epoch, 1 + number % 4)
            assert mode_of(replica, "x") == str(1 + number % 4)
        assert node.meter.from_memory == 0


async def test_a_replica_that_is_missing_holds_one_press_for_a_second(
    primary: EngineProcess, replica: EngineProcess, logs: Logs
) -> None:
    async with member(primary.url, replicas=1) as node:
        claimed = await node.cluster.claim("x", 0)
        await node.put("x", claimed.epoch, 1)
        replica.hang()
        try:
            await node.put("x", claimed.epoch, 2)
            assert node.meter.from_memory == 1
            began = trio.current_time()
            await node.put("x", claimed.epoch, 3)
            assert trio.current_time() - began < 0.5
            assert node.meter.is_up
            other = await node.cluster.claim("y", 0)
            assert other.epoch
            assert mode_of(primary, "x") == "3"
            await trio.sleep(1.5 * WAIT_MS / 1000)  # no silence of a replica confirms a mode
            assert node.cluster._unconfirmed.newest("x")
        finally:
            replica.go_on()
        await node.wait_settled()
        assert mode_of(replica, "x") == "3"
        await node.put("x", claimed.epoch, 4)
        assert node.meter.from_memory == 2
    missing = [line for line in logs if line["event"] == "replicas are missing"]
    assert [(line["expected"], line["found"]) for line in missing] == [(1, 0)]


async def test_sentinel_replaces_the_primary_in_the_midst_of_presses(
    primary: EngineProcess, replica: EngineProcess
) -> None:
    with tempfile.TemporaryDirectory(prefix="sentinel") as folder:
        sentinel = SentinelProcess(Path(folder), primary.port)
        sentinel.start()
        try:
            url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main"
            async with member(url, replicas=1) as one, member(url) as two:
                await move_over(one, two, sentinel, primary, replica)
        finally:
            sentinel.stop()


async def move_over(
    one: Member,
    two: Member,
    sentinel: SentinelProcess,
    primary: EngineProcess,
    replica: EngineProcess,
) -> None:
    sentinel.wait(lambda: bool(sentinel.ask("SENTINEL", "REPLICAS", "main")))
    claimed = await one.cluster.claim("x", 0)
    modes = [f"device-{number}" for number in range(20)]
    epochs = {device_id: (await one.cluster.claim(device_id, 0)).epoch for device_id in modes}
    for device_id in modes:
        await one.put(device_id, epochs[device_id], 3)
    assert one.meter.from_memory == 0
    primary.kill()
    await one.wait_up(False)
    one.cluster.put_mode("x", claimed.epoch, 4)
    # Without a second replica no press is confirmed by one: `two`, which asks for none, goes on.
    await one.wait_up()
    await two.wait_up()
    await until(lambda: not one.cluster._unsettled)
    assert mode_of(replica, "x") == "4"
    for device_id in modes:
        again = await two.cluster.claim(device_id, 0)
        assert (again.mode, again.epoch > epochs[device_id]) == (3, True)
        await two.put(device_id, again.epoch, 1)
    assert two.meter.from_memory == 0


async def test_sentinels_that_know_no_primary_are_one_warning(
    primary: EngineProcess, logs: Logs
) -> None:
    async with member(f"redis+sentinel://127.0.0.1:{primary.port}/main", is_up=False) as node:
        assert (await node.cluster.claim("x", 0)).epoch == 0
    reasons = [line["reason"] for line in logs if line["event"] == "cluster is down"]
    assert reasons == ["no Sentinel knows the primary"]


SECRET = "not-to-be-shown"
PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs/deploying.md").read_text()
RIGHTS = re.findall(r"ACL SETUSER audio on >PASSWORD (.*)", GUIDE)[0].split()


def test_a_user_has_the_right_to_each_command(primary: EngineProcess) -> None:
    known = {name.upper() for name in primary.ask("COMMAND", "LIST")}
    ours = PROJECT / "audio_server/cluster"
    files = [*ours.glob("*.py"), *ours.glob("scripts/*.lua")]
    words = {word for file in files for word in re.findall(r"[\"']([A-Z]+)[\"']", file.read_text())}
    allowed = {one[1:].partition("|")[0].upper() for one in RIGHTS if one.startswith("+")}
    assert words & known - {"AUTH"} == allowed  # that is everybody's


async def test_a_user_needs_few_rights(primary: EngineProcess, replica: EngineProcess) -> None:
    assert primary.ask("ACL", "SETUSER", "audio", "on", f">{SECRET}", *RIGHTS) == "OK"
    url = f"redis://audio@127.0.0.1:{primary.port}"
    async with (
        member(url, password=SECRET, replicas=1) as one,
        member(url, password=SECRET, replicas=1) as two,
    ):
        first = await one.cluster.claim("x", 0)
        await one.put("x", first.epoch, 3)
        assert (await two.cluster.claim("x", 0)).mode == 3
        await one.wait_moved()
        two.cluster.release("x")
        assert await one.records.rename("x", "X", is_known=False) == "done"
        assert await one.records.tag({"x": False}, ["a"], [], 1) == {"x": "done"}
        assert await one.records.enroll(Enrolment("x", bytes(32), "now")) == "done"
        assert await one.records.revoke("x") == "done"
        assert await one.records.forget("x", is_known=False) == "done"
        for version, data in enumerate([b"one", b"two"]):
            sha = sha256(data).hexdigest()
            await one.documents.put_document("clips", version, data, {sha: data})
            assert (await two.documents.document("clips")).data == data
            assert await two.documents.blob(sha) == data
        one.inventory.saw(Seen("y", 0.0, False, None, 1, 1, 1, 0, None, None), 0.0)
        await until(lambda: "y" in one.inventory.away)
        assert (one.meter.from_memory, two.meter.from_memory) == (0, 0)


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_tls(tmp_path: Path, logs: Logs, is_trusted: bool) -> None:
    ours = make_dev_certs(tmp_path / "ours", [], [])
    theirs = make_dev_certs(tmp_path / "theirs", [], [])
    with open_engine() as engine:
        port = free_port()
        for name, value in (
            ("tls-cert-file", ours.server.cert),
            ("tls-key-file", ours.server.key),
            ("tls-ca-cert-file", ours.ca),
            ("tls-auth-clients", "no"),
            ("tls-port", port),
        ):
            assert engine.ask("CONFIG", "SET", name, str(value)) == "OK"
        ca = ours.ca if is_trusted else theirs.ca
        url = f"rediss://127.0.0.1:{port}"
        async with member(url, is_up=is_trusted, tls=client_context(ca)) as node:
            assert bool((await node.cluster.claim("x", 0)).epoch) is is_trusted
    reasons = [line["reason"] for line in logs if line["event"] == "cluster is down"]
    prefix = "its certificate is not valid"
    assert [reason[: len(prefix)] for reason in reasons] == ([] if is_trusted else [prefix])
