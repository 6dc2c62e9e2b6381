"""Connections that are not let in, and those that are ended: each is counted under its reason."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_network

import pytest
import trio
import trio.testing
from counted import House, open_house
from read_metrics import Read
from trio.testing import MockClock

from audio_server.metrics import families as of
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.rpc.admission import ConnectionLimiter
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.limits import Limits
from audio_server.rpc.server import Server
from audio_server.rpc.server_connection import ServerConnection
from audio_server.service.device_service import DeviceService
from audio_server.service.services import all_services

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


async def test_every_method_that_is_served_has_a_label() -> None:
    async with open_house() as context:
        paths = all_services(DeviceService(context.devices), trio.Event())
    assert {path.removeprefix("/") for path in paths} == {*of.METHODS} - {of.OTHER}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_connections=1), "too_many_connections"),
        (Limits(max_unauthenticated=1), "too_many_unauthenticated_connections_from_one_address"),
    ],
)
async def test_one_too_many(limits: Limits, reason: str) -> None:
    shared_registry = SharedRegistry()
    gate = ConnectionLimiter(limits, shared_registry.row())
    slot = gate.enter("192.0.2.1")
    assert slot is not None
    if limits.max_connections == 1:
        slot.authenticated()
    assert gate.enter("192.0.2.1") is None
    assert Read(shared_registry.text())("connections_refused_total", reason=reason) == 1


async def test_one_that_gives_way() -> None:
    shared_registry = SharedRegistry()
    gate = ConnectionLimiter(Limits(max_connections=1), shared_registry.row())
    for _ in range(2):
        assert gate.enter("192.0.2.1") is not None
    assert Read(shared_registry.text())("connections_dropped_total", reason="gave_way") == 1


async def test_a_handshake_that_comes_to_nothing() -> None:
    async def refuse(transport: trio.abc.Stream, peer: Peer, _: object) -> None:
        await trio.aclose_forcefully(transport)

    shared_registry = SharedRegistry()
    server = Server({}, secure=refuse, meter=shared_registry.row())
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(server.run, listeners)
        port = listeners[0].socket.getsockname()[1]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            assert await stream.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    read = Read(shared_registry.text())
    assert read("connections_refused_total", reason="handshake") == 1
    assert (read("connections_total"), read("connections_open")) == (1, 0)


async def test_a_proxy_that_names_no_client() -> None:
    shared_registry = SharedRegistry()
    trusted = [ip_network("127.0.0.1")]
    meter = shared_registry.row()
    server = Server({}, trusted_proxies=trusted, proxy_protocol=True, meter=meter)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(server.run, listeners)
        port = listeners[0].socket.getsockname()[1]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"PRI * HTTP")
            with suppress(trio.BrokenResourceError):
                assert await stream.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    read = Read(shared_registry.text())
    assert read("connections_refused_total", reason="proxy_header") == 1
    assert (read("connections_total"), read("connections_open")) == (1, 0)


async def dropped(context: House, data: bytes) -> Read:
    """What is counted when a peer says this, and then nothing more."""
    near, far = trio.testing.memory_stream_pair()
    connection = ServerConnection({}, far, limits=Limits(), number=1, meter=context.meter)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        await near.send_all(data)
    return context.read


@pytest.mark.parametrize(
    ("data", "reason"),
    [(PREFACE, "silent"), (b"GET / HTTP/1.1\r\n\r\n" * 2, "protocol_error")],
)
async def test_a_connection_that_is_ended(
    data: bytes, reason: str, autojump_clock: MockClock
) -> None:
    async with open_house() as context:
        read = await dropped(context, data)
    assert read("connections_dropped_total", reason=reason) == 1
    assert read.total("connections_dropped_total") == 1
