"""Every kind of connection, with TLS or without, is freed by reference counts when it has ended.

No collection runs meanwhile, so that none hides a cycle, however young its objects are; and the
garbage of any library counts, not only our own objects. `memory.py` puts 100,000 of each
kind on a server in a process of its own.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
import trio.testing
import visits
from fault_house import wait_until
from free_ports import free_port

from audio_server.app import serve_until
from audio_server.identity.dev_certs import make_dev_certs
from audio_server.process import gc_policy
from audio_server.rpc.limits import Limits
from audio_server.rpc.proxy_header import LOCAL, SIGNATURE
from audio_server.settings import LimitSettings, Settings
from audio_server.web import connection

TIMES = 5
SHIPPED = Path(__file__).parents[2] / "clips"
MANY = (1_000_000, 1_000.0)
OPEN = LimitSettings(max_unauthenticated=1_000, abandoned=MANY)
QUICK = LimitSettings(
    max_unauthenticated=1_000, abandoned=MANY, handshake_s=0.2, preface_s=0.2, idle_s=1
)


@pytest.fixture(autouse=True)
def no_collections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gc_policy, "EVERY_S", 1e6)
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Logs that keep nothing: an exception that is kept keeps the frames that it went through."""

    def drop(*_: object) -> str:
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[drop])
    caplog.set_level("CRITICAL")
    yield
    structlog.configure(**before)


@asynccontextmanager
async def serving(
    folder: Path, limits: Limits, *, tls: bool, **more: Any
) -> AsyncIterator[visits.Ports]:
    """A server with its pages, which have TLS beyond loopback only."""
    port, http = free_port(), free_port()
    secured: dict[str, Any] = {}
    if tls:
        pair = make_dev_certs(folder / "certs", ["localhost"], []).server
        secured = {"tls_cert": pair.cert, "tls_key": pair.key}
    settings = Settings(
        port=port,
        http=f"{'0.0.0.0' if tls else '127.0.0.1'}:{http}",
        clips=SHIPPED,
        cache=folder / "cache",
        data=folder / "data",
        limits=limits,
        **secured,
        **more,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_until, trio.Event(), settings))
        await _wait_open(http)
        await trio.testing.wait_all_tasks_blocked(0.1)
        token = (folder / "data" / "http-token").read_text().strip() if tls else None
        yield visits.Ports(port, http, token)
        nursery.cancel_scope.cancel()


async def _wait_open(port: int) -> None:
    with trio.fail_after(60):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                await trio.sleep(0.01)
            else:
                return


def tasks() -> int:
    """Count the tasks: each connection has one at least."""
    return trio.lowlevel.current_statistics().tasks_living


def garbage() -> Counter[str]:
    """Count by type the objects that only a collection frees, and free them."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = Counter(f"{type(each).__module__}.{type(each).__name__}" for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    gc.collect()
    return found


async def left_of(visit: visits.Visit, ports: visits.Ports, hold_s: float) -> Counter[str]:
    """What is left of visits of a kind when their connections have ended."""
    come = partial(visits.come, visit, ports, hold=partial(time.sleep, hold_s))
    before = tasks()
    await trio.to_thread.run_sync(come, 1)  # modules are imported, caches are filled
    await wait_until(lambda: tasks() <= before)
    garbage()
    gc.freeze()
    await trio.to_thread.run_sync(come, TIMES)
    await wait_until(lambda: tasks() <= before)
    return garbage()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_nothing_is_left_of_a_connection(tmp_path: Path, tls: bool) -> None:
    left = {}
    async with serving(tmp_path, OPEN, tls=tls) as ports:
        for name, visit in (visits.TLS if tls else visits.PLAIN).items():
            left[name] = await left_of(visit, ports, hold_s=0.05)
    assert {name: found for name, found in left.items() if found} == {}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_nothing_is_left_of_a_connection_that_is_given_up(
    tmp_path: Path, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.2)
    monkeypatch.setattr(connection, "READ_S", 0.2)
    left = {}
    async with serving(tmp_path, QUICK, tls=tls) as ports:
        for name in visits.SILENT_TLS if tls else visits.SILENT:
            left[name] = await left_of(visits.TLS[name], ports, hold_s=0.4)
    assert {name: found for name, found in left.items() if found} == {}


HEADER = SIGNATURE + bytes.fromhex("2111000c c0000207 0a000001 9c40c383")


def proxied(data: bytes, ports: visits.Ports) -> Iterator[None]:
    """A connection of a proxy that says this, and then nothing."""
    with visits.tcp(ports.grpc) as sock:
        sock.sendall(data)
        yield


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_nothing_is_left_of_a_connection_of_a_proxy(tmp_path: Path, tls: bool) -> None:
    said = {
        "nothing": b"",
        "half a header": HEADER[:20],
        "no header": visits.NO_REQUEST,
        "a header": HEADER,
        "a header and nonsense": HEADER + visits.NO_REQUEST,
        "a header of its own": LOCAL,
    }
    left = {}
    trusted: dict[str, Any] = {
        "trusted_proxies": [ip_network("127.0.0.1")],
        "proxy_protocol": "required",
    }
    async with serving(tmp_path, QUICK, tls=tls, **trusted) as ports:
        for name, data in said.items():
            left[name] = await left_of(partial(proxied, data), ports, hold_s=0.5)
    assert {name: found for name, found in left.items() if found} == {}


async def test_a_cycle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_server.rpc.io.tls.break_cycle", lambda _: None)
    async with serving(tmp_path, OPEN, tls=True) as ports:
        assert (await left_of(visits.pages_idle, ports, hold_s=0))["trio.SSLStream"] == TIMES
