"""Handshakes, good and bad: what comes of the connection, and what is said of it."""

from __future__ import annotations

import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
import structlog
import trio
import trio.testing
from papers import KITCHEN, Papers
from structlog.typing import EventDict

from audio_server.identity import tls_acceptor
from audio_server.identity.tls import TlsError, server_context
from audio_server.identity.tls_acceptor import AT_ONCE, TlsAcceptor
from audio_server.process.log_limiter import FaultLimiter
from audio_server.rpc.io.fair_queue import ReadScheduler
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.limits import Limits


def make_door(papers: Papers, *, mutual: bool = False) -> TlsAcceptor:
    certs = papers.certs
    ca = certs.ca if mutual else None
    return TlsAcceptor(partial(server_context, certs.server.cert, certs.server.key, ca))


class Meeting:
    """One client at a door; `secured` is what became of it."""

    made: ClassVar[list[socket.socket]] = []

    def __init__(self, acceptor: TlsAcceptor, scheduler: ReadScheduler | None = None) -> None:
        self._acceptor = acceptor
        self._scheduler = scheduler
        ends = socket.socketpair()
        self.near, self.far = map(_stream, ends)
        self.made.extend(ends)
        self.secured: Any = "nothing yet"
        self.error: BaseException | None = None

    async def shake(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        """Both ends of a handshake, and the first byte, which tells a client of TLS 1.3 more."""
        client = trio.SSLStream(self.near, context, server_hostname=name)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._secure_and_greet)
            try:
                await client.do_handshake()
                await client.receive_some(1)
            except trio.BrokenResourceError as error:
                self.error = error.__cause__
                await trio.aclose_forcefully(self.near)
        self.client = client

    async def secure(self) -> None:
        self.secured = await self._acceptor.secure(self.far, None, self._scheduler)

    async def _secure_and_greet(self) -> None:
        await self.secure()
        if self.secured is not None:
            self.secured.write(b"!")


@pytest.fixture(autouse=True)
def closed_ends() -> Iterator[None]:
    """Close the sockets of all meetings."""
    yield
    while Meeting.made:
        Meeting.made.pop().close()


def _stream(end: socket.socket) -> trio.SocketStream:
    end.setblocking(False)
    return trio.SocketStream(trio.socket.from_stdlib_socket(end))


def reasons(logged: list[EventDict]) -> list[str]:
    assert {entry["event"] for entry in logged} <= {"TLS handshake failed"}
    return [entry["reason"] for entry in logged]


async def is_closed(stream: trio.SocketStream) -> bool:
    """Whether all that comes has come; a stream that stays open never gets there."""
    with trio.move_on_after(1):
        while await stream.receive_some():
            pass
        return True
    return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions(version, papers, logged) -> None:
    context = papers.context()
    context.minimum_version = context.maximum_version = version
    meeting = Meeting(make_door(papers))
    await meeting.shake(context)
    assert meeting.secured.alpn == "h2"
    assert meeting.client.version() == version.name.replace("_", ".")
    assert logged == []


async def test_an_old_version(papers, logged) -> None:
    context = papers.context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    meeting = Meeting(make_door(papers))
    await meeting.shake(context)
    assert meeting.secured is None
    assert reasons(logged) == ["unsupported protocol"]


async def test_a_client_without_http2(papers, logged) -> None:
    context = papers.context()
    context.set_alpn_protocols(["http/1.1"])
    meeting = Meeting(make_door(papers))
    await meeting.shake(context)
    assert meeting.secured is None
    assert reasons(logged) == ["the client does not offer HTTP/2 (ALPN h2)"]


async def test_a_client_that_trusts_somebody_else(papers, strange, logged) -> None:
    meeting = Meeting(make_door(papers))
    await meeting.shake(strange.context())
    assert isinstance(meeting.error, ssl.SSLCertVerificationError)
    assert len(reasons(logged)) == 1


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "server.example"])
async def test_names_of_the_server(name, papers) -> None:
    meeting = Meeting(make_door(papers))
    await meeting.shake(papers.context(), name)
    assert meeting.error is None


async def test_a_name_that_is_not_the_servers(papers, logged) -> None:
    meeting = Meeting(make_door(papers))
    await meeting.shake(papers.context(), "other.example")
    assert isinstance(meeting.error, ssl.SSLCertVerificationError)


async def test_a_device_with_its_certificate(papers, logged) -> None:
    meeting = Meeting(make_door(papers, mutual=True))
    await meeting.shake(papers.context(KITCHEN))
    cert = Peer(meeting.secured).cert()
    assert cert is not None
    assert cert["subject"] == ((("commonName", KITCHEN),),)
    assert logged == []


async def test_a_device_without_a_certificate(papers, logged) -> None:
    meeting = Meeting(make_door(papers, mutual=True))
    await meeting.shake(papers.context())
    assert meeting.secured is None
    assert reasons(logged) == ["peer did not return a certificate"]


async def test_a_certificate_of_another_authority(papers, strange, logged) -> None:
    context = papers.context()
    pair = strange.certs.devices[KITCHEN]
    context.load_cert_chain(pair.cert, pair.key)
    meeting = Meeting(make_door(papers, mutual=True))
    await meeting.shake(context)
    assert meeting.secured is None
    (reason,) = reasons(logged)
    assert reason.startswith("the client's certificate: ")


async def test_the_servers_certificate_is_no_devices(papers, logged) -> None:
    context = papers.context()
    context.load_cert_chain(papers.certs.server.cert, papers.certs.server.key)
    meeting = Meeting(make_door(papers, mutual=True))
    await meeting.shake(context)
    assert meeting.secured is None
    (reason,) = reasons(logged)
    assert "purpose" in reason


async def test_a_client_that_speaks_plain_http2(papers, logged) -> None:
    meeting = Meeting(make_door(papers))
    await meeting.near.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    await meeting.secure()
    assert meeting.secured is None
    assert len(reasons(logged)) == 1
    assert await is_closed(meeting.near)


async def test_a_client_that_hangs_up(papers, logged) -> None:
    meeting = Meeting(make_door(papers))
    await meeting.near.aclose()
    await meeting.secure()
    assert meeting.secured is None
    assert len(reasons(logged)) == 1


async def test_a_client_that_says_nothing(papers, logged, autojump_clock) -> None:
    meeting = Meeting(make_door(papers))
    await meeting.secure()
    assert trio.current_time() == Limits().handshake_s
    assert reasons(logged) == ["not done in 10 s"]
    assert await is_closed(meeting.near)


async def test_many_that_fail_are_a_few_lines(papers, autojump_clock) -> None:
    acceptor = make_door(papers)

    async def fail() -> None:
        meeting = Meeting(acceptor)
        await meeting.near.aclose()
        await meeting.secure()

    with structlog.testing.capture_logs([FaultLimiter(trio.current_time)]) as logged:
        for _ in range(50):
            await fail()
        assert len(logged) == 10
        await trio.sleep(10)
        await fail()
    assert logged[-1]["not_logged_before"] == 40
    assert len(logged) == 11


async def test_a_cancelled_handshake_closes_the_connection(papers, logged) -> None:
    meeting = Meeting(make_door(papers))
    with trio.move_on_after(0):
        await meeting.secure()
    assert await is_closed(meeting.near)
    assert logged == []


async def test_new_files_are_for_new_connections(papers, strange, logged) -> None:
    current = papers

    def make() -> ssl.SSLContext:
        certs = current.certs
        return server_context(certs.server.cert, certs.server.key, None)

    acceptor = TlsAcceptor(make)
    old = Meeting(acceptor)
    await old.shake(papers.context())
    current = strange
    acceptor.reload()
    new = Meeting(acceptor)
    await new.shake(strange.context())
    assert new.error is None
    old.secured.write(b"still here")
    assert await old.client.receive_some() == b"still here"


async def test_bad_new_files_leave_the_old_ones(papers, logged, tmp_path) -> None:
    certs = papers.certs
    files = {"cert": certs.server.cert}
    acceptor = TlsAcceptor(lambda: server_context(files["cert"], certs.server.key, None))
    files["cert"] = tmp_path / "nowhere"
    with pytest.raises(TlsError):
        acceptor.reload()
    meeting = Meeting(acceptor)
    await meeting.shake(papers.context())
    assert meeting.error is None


class Turns(trio.abc.Instrument):
    """Counts the turns of the loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    instrument = Turns()
    trio.lowlevel.add_instrument(instrument)
    yield instrument
    trio.lowlevel.remove_instrument(instrument)


class Counted(tls_acceptor.TlsSocket):
    """Notes the turns of its steps."""

    made: ClassVar[int]
    steps: ClassVar[Counter[int]]
    turns: ClassVar[Turns]

    def __init__(self, *args: Any) -> None:
        Counted.made += 1
        super().__init__(*args)

    def shake_hands(self, first: bytes = b"") -> bool:
        Counted.steps[Counted.turns.count] += 1
        return super().shake_hands(first)


@pytest.fixture
async def counted(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    Counted.made, Counted.steps, Counted.turns = 0, Counter(), turns
    monkeypatch.setattr(tls_acceptor, "TlsSocket", Counted)
    return Counted


async def test_a_storm_of_handshakes_is_many_short_turns(papers, counted) -> None:
    acceptor, scheduler = make_door(papers), ReadScheduler()
    meetings = [Meeting(acceptor, scheduler) for _ in range(5 * AT_ONCE)]
    async with trio.open_nursery() as turning:
        turning.start_soon(scheduler.run)
        async with trio.open_nursery() as nursery:
            for meeting in meetings:
                nursery.start_soon(meeting.shake, papers.context())
        turning.cancel_scope.cancel()
    assert all(meeting.error is None for meeting in meetings)
    assert sum(counted.steps.values()) >= 2 * len(meetings)
    assert max(counted.steps.values()) <= AT_ONCE


async def test_a_client_that_says_nothing_has_no_state_of_tls(
    papers, logged, autojump_clock, counted
) -> None:
    meeting = Meeting(make_door(papers))
    await meeting.secure()
    hung_up = Meeting(make_door(papers))
    await hung_up.near.aclose()
    await hung_up.secure()
    assert reasons(logged) == ["not done in 10 s", "the client hung up"]
    assert counted.made == 0


async def test_a_client_that_stops_half_way(papers, logged, autojump_clock) -> None:
    """One that says half a hello, and one that takes nothing of the answer."""
    for is_deaf in (False, True):
        meeting = Meeting(make_door(papers))
        hello = trio.testing.memory_stream_pair()
        client = trio.SSLStream(hello[0], papers.context(), server_hostname="localhost")
        with trio.move_on_after(1):
            await client.do_handshake()
        said = await hello[1].receive_some()
        if is_deaf:
            meeting.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        await meeting.near.send_all(said if is_deaf else said[:-1])
        start = trio.current_time()
        await meeting.secure()
        assert trio.current_time() - start == Limits().handshake_s
        assert meeting.secured is None
    assert reasons(logged) == 2 * ["not done in 10 s"]


async def test_a_client_that_resets(papers, logged) -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        near = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        far = await listener.accept()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        near.socket.close()
        assert await make_door(papers).secure(far) is None
    assert reasons(logged) == ["the client hung up"]
