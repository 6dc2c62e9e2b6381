"""How a device's bytes travel: the owner's view is the same with TLS and without."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from audio_server.identity.dev_certs import make_dev_certs
from audio_server.identity.tls import server_context
from benchmarks.link import Link, Plain, Tls, client_context

ROOM = 128 * 1024


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    pair = make_dev_certs(tmp_path_factory.mktemp("certs"), (), ()).server
    return server_context(pair.cert, pair.key, None)


class Server:
    """The other end over TLS, on memory, so that each turn of the handshake is the test's."""

    def __init__(self, line: socket.socket, context: ssl.SSLContext) -> None:
        self.line = line
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def shake_hands(self) -> None:
        self.hear()
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.flush()

    def hear(self) -> None:
        self.incoming.write(self.line.recv(ROOM))

    def flush(self) -> None:
        self.line.sendall(self.outgoing.read())


@contextmanager
def lines() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield near, far


@contextmanager
def connected(context: ssl.SSLContext) -> Iterator[tuple[Tls, Server]]:
    with lines() as (near, far):
        link, server = Tls(near, client_context()), Server(far, context)
        server.shake_hands()
        assert receive(link) is None
        server.shake_hands()
        yield link, server


def receive(link: Link) -> bytes | None:
    """All that can be read now; None for nothing."""
    room = bytearray(ROOM)
    try:
        return bytes(room[: link.receive(memoryview(room))])
    except BlockingIOError:
        return None


def test_nothing_is_taken_before_the_handshake_is_done(context: ssl.SSLContext) -> None:
    with lines() as (near, far):
        link, server = Tls(near, client_context()), Server(far, context)
        assert link.send(b"early") == 0
        server.shake_hands()
        assert receive(link) is None
        assert link.send(b"now") == 3
        server.shake_hands()
        assert server.tls.read(ROOM) == b"now"
        assert server.tls.version() == "TLSv1.3"
        assert server.tls.selected_alpn_protocol() == "h2"


def test_records_that_came_together_are_read_at_once(context: ssl.SSLContext) -> None:
    with connected(context) as (link, server):
        for part in (b"one", b"two", b"x" * 20_000):
            server.tls.write(part)
        server.flush()
        assert receive(link) == b"onetwo" + b"x" * 20_000
        assert receive(link) is None


def test_a_record_in_two_halves_is_read_when_it_is_whole(context: ssl.SSLContext) -> None:
    with connected(context) as (link, server):
        server.tls.write(b"whole")
        record = server.outgoing.read()
        server.line.sendall(record[:7])
        assert receive(link) is None
        server.line.sendall(record[7:])
        assert receive(link) == b"whole"


def test_records_without_room_go_first_the_next_time(context: ssl.SSLContext) -> None:
    with connected(context) as (link, server):
        server.line.setblocking(False)
        link.client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sent = b"".join(bytes([number]) * 9_000 for number in range(20))
        assert sum(link.send(sent[at : at + 9_000]) for at in range(0, len(sent), 9_000)) == len(
            sent
        )
        heard = b""
        while len(heard) < len(sent):
            with suppress(BlockingIOError):
                server.hear()
            with suppress(ssl.SSLWantReadError):
                heard += server.tls.read(ROOM)
            link.send(b"")
        assert heard == sent


def test_the_end_is_an_end_with_and_without_a_farewell(context: ssl.SSLContext) -> None:
    with connected(context) as (link, server):
        with suppress(ssl.SSLWantReadError):
            server.tls.unwrap()
        server.flush()
        assert receive(link) == b""
    with connected(context) as (link, server):
        server.line.close()
        assert receive(link) == b""


def test_a_broken_record_is_an_error_of_the_connection(context: ssl.SSLContext) -> None:
    with connected(context) as (link, server):
        server.line.sendall(b"no record at all, and long enough to be one")
        with pytest.raises(OSError, match=r".") as caught:
            link.receive(memoryview(bytearray(ROOM)))
        assert not isinstance(caught.value, BlockingIOError)


def test_without_tls_it_is_the_socket() -> None:
    with lines() as (near, far):
        link = Plain(near)
        assert receive(link) is None
        assert link.send(b"there") == 5
        assert far.recv(ROOM) == b"there"
        far.sendall(b"back")
        assert receive(link) == b"back"
        far.close()
        assert receive(link) == b""
