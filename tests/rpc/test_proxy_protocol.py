"""Connections of a proxy that names its clients, on real sockets: with TLS and without."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from ipaddress import IPv4Address, ip_network
from typing import Any

import pytest
import trio
from grpclib.const import Cardinality
from raw_peer import ECHO, Closed, RawPeer
from serving import packet, service
from trio.testing import wait_all_tasks_blocked

from audio_server.identity.dev_certs import DevCerts, make_dev_certs
from audio_server.identity.tls import client_context, server_context
from audio_server.identity.tls_acceptor import TlsAcceptor
from audio_server.rpc.client import open_channel
from audio_server.rpc.limits import Limits
from audio_server.rpc.proxy_header import LOCAL, SIGNATURE
from audio_server.rpc.server import Server
from audio_server.wire.comms_pb2 import AudioPacket

Logs = list[MutableMapping[str, Any]]
TRUSTED = [ip_network("127.0.0.1")]
ELSEWHERE = "127.0.0.2"
"""An address of this machine that is no proxy's."""


def header(client: str = "192.0.2.7", port: int = 40_000) -> bytes:
    addresses = IPv4Address(client).packed + IPv4Address("10.0.0.1").packed
    rest = addresses + struct.pack("!HH", port, 50_051)
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(rest)) + rest


class Door:
    """A server that awaits headers of 127.0.0.1, its port, and the peers of its calls."""

    def __init__(self, limits: Limits, acceptor: TlsAcceptor | None) -> None:
        self.peers: list[str] = []
        self.server = Server(
            service(self._handle),
            limits=limits,
            trusted_proxies=TRUSTED,
            proxy_protocol=True,
            secure=acceptor.secure if acceptor else None,
        )
        self.port = 0

    async def _handle(self, call: Any) -> None:
        self.peers.append(str(call.peer))
        if "device_id" in call.metadata:
            call.identified()
        async for message in call:
            await call.send_message(message)

    @asynccontextmanager
    async def peer(
        self, *parts: bytes, source: str = "127.0.0.1", over: Callable[..., Any] | None = None
    ) -> AsyncIterator[RawPeer]:
        """A peer that has sent these parts, each in a segment of its own, and greeted."""
        async with await self.connect(source) as transport:
            for part in parts:
                await transport.send_all(part)
                await trio.sleep(0.005)
            peer = RawPeer(over(transport) if over else transport)
            await peer.greet()
            yield peer

    async def connect(self, source: str = "127.0.0.1") -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port, local_address=source)


@asynccontextmanager
async def open_door(
    limits: Limits | None = None, acceptor: TlsAcceptor | None = None
) -> AsyncIterator[Door]:
    door = Door(limits or Limits(), acceptor)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            await nursery.start(door.server.run, listeners)
            door.port = listeners[0].socket.getsockname()[1]
            yield door
            nursery.cancel_scope.cancel()


async def echoed(peer: RawPeer) -> None:
    await peer.open(1, ("device_id", "a"))
    await peer.message(1, packet(5))
    await peer.received(1, 10)


async def is_refused(peer: RawPeer) -> bool:
    with trio.move_on_after(10):  # a connection without a call is ended after a minute
        try:
            while True:
                await peer.read()
        except (Closed, OSError, trio.BrokenResourceError):
            return True
    return False


async def wait_closed(stream: trio.SocketStream) -> None:
    try:
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        pass


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> DevCerts:
    return make_dev_certs(tmp_path_factory.mktemp("certs"), ["localhost"], [])


@pytest.mark.parametrize(
    "parts",
    [
        [header()],
        [bytes([byte]) for byte in header()],
        [header()[:16], header()[16:]],
        [b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 50051\r\n"],
        [b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 50051\r", b"\n"],
    ],
)
async def test_the_client_is_the_peer_of_its_calls(parts: list[bytes], logs: Logs) -> None:
    async with open_door() as door, door.peer(*parts) as peer:
        await echoed(peer)
        assert door.peers == ["192.0.2.7:40000"]
    assert [line for line in logs if line["event"] == "PROXY header refused"] == []


async def test_a_header_and_more_in_one_segment() -> None:
    """What comes after the header is the connection's, to the byte."""
    async with open_door() as door, await door.connect() as transport:
        peer = RawPeer(_Ahead(transport, header()))
        await peer.greet()
        await echoed(peer)
        assert door.peers == ["192.0.2.7:40000"]


class _Ahead(trio.abc.Stream):
    """Sends bytes before the first others, in one segment with them."""

    def __init__(self, stream: trio.SocketStream, ahead: bytes) -> None:
        self._stream, self._ahead = stream, ahead

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        ahead, self._ahead = self._ahead, b""
        await self._stream.send_all(ahead + bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


@pytest.mark.parametrize("ahead", [True, False])
async def test_tls_after_the_header(certs: DevCerts, logs: Logs, *, ahead: bool) -> None:
    make = partial(server_context, certs.server.cert, certs.server.key, None)
    context = client_context(certs.ca)
    async with open_door(acceptor=TlsAcceptor(make)) as door, await door.connect() as transport:
        below: Any = _Ahead(transport, header())
        if not ahead:
            await transport.send_all(header())
            below = transport
        peer = RawPeer(trio.SSLStream(below, context, server_hostname="localhost"))
        await peer.greet()
        await echoed(peer)
        assert door.peers == ["192.0.2.7:40000"]
    assert logs == []


async def test_a_failed_handshake_is_logged_with_the_client(certs: DevCerts, logs: Logs) -> None:
    make = partial(server_context, certs.server.cert, certs.server.key, None)
    async with open_door(acceptor=TlsAcceptor(make)) as door, await door.connect() as transport:
        await transport.send_all(header() + b"no TLS at all, and more than five bytes")
        await wait_closed(transport)
        await wait_all_tasks_blocked(0.05)
    (line,) = [line for line in logs if line["event"] == "TLS handshake failed"]
    assert line["peer"] == "192.0.2.7:40000"


async def test_a_proxy_that_speaks_for_itself_is_served(logs: Logs) -> None:
    """As HAProxy does in its health checks."""
    async with open_door() as door, door.peer(LOCAL) as peer:
        await echoed(peer)
        assert door.peers[0].startswith("127.0.0.1:")
    assert logs == []


async def test_a_client_of_ours_sends_one_where_it_has_a_proxys_address() -> None:
    async with (
        open_door() as door,
        open_channel("127.0.0.1", door.port, proxies=TRUSTED) as channel,
        channel.request(ECHO, Cardinality.STREAM_STREAM, AudioPacket, AudioPacket) as call,
    ):
        await call.send_message(AudioPacket(data=b"x"))
        assert (await call.recv_message()).data == b"x"


async def test_a_check_whether_the_port_is_open_is_no_fault(logs: Logs) -> None:
    async with open_door() as door:
        async with await door.connect():
            pass
        async with door.peer(header()) as peer:
            await echoed(peer)
    assert logs == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no PROXY header"),
        (SIGNATURE + b"\x21\x11\xff\xff", "the header is too long"),
        (SIGNATURE + b"\x21\x12" + header()[14:], "unknown kind of address"),
        (header()[:20], "no whole header in time"),
        (b"PROXY TCP4", "no whole header in time"),
    ],
)
async def test_bad_headers_end_their_connection_alone(data: bytes, reason: str, logs: Logs) -> None:
    async with open_door(Limits(handshake_s=0.3)) as door, door.peer(header()) as healthy:
        await echoed(healthy)
        async with await door.connect() as transport:
            await transport.send_all(data)
            await wait_closed(transport)
        await healthy.message(1, packet(5))
        await healthy.received(1, 20)
    (line,) = logs
    assert line["event"] == "PROXY header refused"
    assert line["reason"] == reason
    assert line["peer"].startswith("127.0.0.1:")


async def test_an_early_end_is_a_fault(logs: Logs) -> None:
    async with open_door() as door, await door.connect() as transport:
        await transport.send_all(header()[:9])
        await trio.sleep(0.02)
        await transport.send_eof()
        await wait_closed(transport)
    assert [line["reason"] for line in logs] == ["the header ends early"]


async def test_others_than_proxies_come_without_a_header(logs: Logs) -> None:
    """Probes and devices on the inside; a header from there names nobody."""
    async with open_door() as door:
        async with door.peer(source=ELSEWHERE) as peer:
            await echoed(peer)
            assert door.peers[0].startswith(f"{ELSEWHERE}:")
        async with await door.connect(ELSEWHERE) as transport:
            await transport.send_all(header())
            await wait_closed(transport)
    (line,) = [line for line in logs if line["event"] == "peer broke the rules"]
    assert line["peer"].startswith(f"{ELSEWHERE}:")


async def test_limits_are_those_of_the_client() -> None:
    async with open_door(Limits(max_unauthenticated=2)) as door, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(door.peer(header("192.0.2.7")))
        async with door.peer(header("192.0.2.7")) as third:
            assert await is_refused(third)
        async with door.peer(header("192.0.2.8")) as other:
            await echoed(other)
        reason = "too many unauthenticated connections from one address"
        assert door.server.refused == {reason: 1}


async def test_a_client_that_comes_and_goes_spends_its_own_tokens() -> None:
    async with open_door(Limits(abandoned=(2, 0.001))) as door:
        for _ in range(2):
            async with door.peer(header("192.0.2.7")) as peer:
                await peer.read()
        await trio.sleep(0.05)
        async with door.peer(header("192.0.2.7")) as again:
            assert await is_refused(again)
        async with door.peer(header("192.0.2.8")) as other:
            await echoed(other)


async def test_silent_connections_of_the_proxy_give_way(logs: Logs) -> None:
    async with open_door(Limits(max_connections=3)) as door, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(await door.connect()) for _ in range(3)]
        await trio.sleep(0.05)
        async with door.peer(header()) as peer:
            await echoed(peer)
        await wait_closed(silent[0])
    assert {line["event"] for line in logs} == {"connection gave way to a newer one"}


async def test_a_drain_waits_for_no_header() -> None:
    async with open_door() as door, await door.connect() as transport:
        await transport.send_all(header()[:3])
        await trio.sleep(0.02)
        await door.server.drain()
        with trio.fail_after(5):
            await wait_closed(transport)
