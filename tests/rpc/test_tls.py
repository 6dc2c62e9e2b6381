"""The same over TLS, through `trio.SSLStream`: writes go another way there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from grpclib.const import Cardinality, Status
from raw_peer import ECHO, framed
from serving import echo, never, packet, service, serving
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from audio_server.identity.dev_certs import DevCerts, make_dev_certs
from audio_server.identity.tls import client_context, server_context
from audio_server.rpc.client import channel_over
from audio_server.rpc.server_connection import serve_connection
from audio_server.wire.comms_pb2 import AudioPacket

Pair = Callable[[], tuple[Any, Any]]


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> DevCerts:
    folder: Path = tmp_path_factory.mktemp("certs")
    return make_dev_certs(folder, ["server.example"], [])


def over_tls(certs: DevCerts, pair: Pair) -> Pair:
    """Both ends of TLS on a pair of streams; the handshake comes with the first bytes."""

    def make() -> tuple[trio.SSLStream[Any], trio.SSLStream[Any]]:
        ours, theirs = pair()
        client = client_context(certs.ca)
        server = server_context(certs.server.cert, certs.server.key, None)
        return (
            trio.SSLStream(ours, client, server_hostname="server.example"),
            trio.SSLStream(theirs, server, server_side=True),
        )

    return make


@pytest.mark.parametrize("pair", [memory_stream_pair, lockstep_stream_pair])
async def test_messages_of_all_sizes(
    autojump_clock: MockClock, certs: DevCerts, pair: Pair
) -> None:
    ours, theirs = over_tls(certs, pair)()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, service(echo), theirs)
        async with channel_over(ours) as channel:
            call = channel.request(ECHO, Cardinality.STREAM_STREAM, AudioPacket, AudioPacket)
            async with call:
                for size in (0, 1, 60_000, 5, 60_000):
                    await call.send_message(AudioPacket(data=b"x" * size))
                    assert len((await call.recv_message()).data) == size
                await call.end()
                assert await call.recv_message() is None


async def test_a_goaway_arrives(autojump_clock: MockClock, certs: DevCerts) -> None:
    async with serving(echo, pair=over_tls(certs, memory_stream_pair)) as served:
        await served.peer.open(1)
        await served.peer.raw(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01")
        assert (await served.peer.ended_with())[0] == 6


async def test_a_silent_peer_is_gone_within_35_s(
    autojump_clock: MockClock, certs: DevCerts
) -> None:
    async with serving(never, pair=over_tls(certs, memory_stream_pair)) as served:
        await served.peer.open(1)
        start = trio.current_time()
        await served.ended.wait()
        assert trio.current_time() - start == pytest.approx(30)


async def test_a_peer_that_stalls_is_gone_too(autojump_clock: MockClock, certs: DevCerts) -> None:
    async def talk(call: Any) -> None:
        while True:
            await call.send_framed(framed(packet(10_000)))

    settings = {4: 2**30}
    pair = over_tls(certs, lockstep_stream_pair)
    async with serving(talk, pair=pair, settings=settings) as served:
        await served.peer.widen(0, 2**30)
        await served.peer.open(1)
        start = trio.current_time()
        await served.ended.wait()
        assert trio.current_time() - start <= 32.01


async def test_a_drain_tells_everybody(autojump_clock: MockClock, certs: DevCerts) -> None:
    async with serving(never, pair=over_tls(certs, memory_stream_pair)) as served:
        await served.peer.open(1)
        await served.peer.quiet()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.connection.drain)
            assert (await served.peer.goaway()).last_stream_id == 2**31 - 1
            assert (await served.peer.goaway()).last_stream_id == 1
            assert await served.peer.status(1) == Status.UNAVAILABLE.value


async def test_who_speaks_no_tls_is_let_go(autojump_clock: MockClock, certs: DevCerts) -> None:
    ours, theirs = memory_stream_pair()
    server = server_context(certs.server.cert, certs.server.key, None)
    stream = trio.SSLStream(theirs, server, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, service(echo), stream)
        await ours.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        with trio.fail_after(60):
            while await ours.receive_some():
                pass
