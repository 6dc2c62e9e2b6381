"""TLS without waiting: two OpenSSL objects that face each other over a socket, and odd records."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from inspect import iscoroutinefunction
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from h2.errors import ErrorCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_tls import ALERT, DATA, HANDSHAKE, KEY_UPDATE, RawRecords, TlsPeer, greet, new_handshake

from audio_server.identity.dev_certs import DevCerts, make_dev_certs
from audio_server.identity.tls import client_context, server_context
from audio_server.rpc.errors import PeerError
from audio_server.rpc.io import tls_socket
from audio_server.rpc.io.tls_socket import READ_BYTES, Bios, TlsSocket

BOTH = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
RECORD_BYTES = 16_384
NO_RENEGOTIATION = 100


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> DevCerts:
    return make_dev_certs(tmp_path_factory.mktemp("certs"), ["localhost"], [])


class Facing:
    """A server's end, and a client; the handshake is done unless `greeted` is False."""

    def __init__(
        self,
        certs: DevCerts,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        *,
        greeted: bool = True,
        keylog: Path | None = None,
        bios: Bios | None = None,
    ) -> None:
        self.ours, theirs = socket.socketpair()
        context = client_context(certs.ca)
        context.minimum_version = context.maximum_version = version
        if keylog is not None:
            context.keylog_filename = str(keylog)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self.ours))
        server = server_context(certs.server.cert, certs.server.key, None)
        self.bios = bios or Bios()
        self.tls = TlsSocket(stream, server, self.bios)
        self.peer = TlsPeer(theirs, context)
        if greeted:
            greet(self.peer, self.tls.shake_hands)

    def close(self) -> None:
        self.ours.close()
        self.peer.sock.close()


Make = Callable[..., Facing]


@pytest.fixture
def facing(certs: DevCerts) -> Iterator[Make]:
    """Makes pairs; between two methods of the server's ends their memory is empty."""
    made: list[Facing] = []

    def make(*args: ssl.TLSVersion, **kwargs: object) -> Facing:
        made.append(Facing(certs, *args, **kwargs))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()
        assert not each.bios.incoming.pending
        assert not each.bios.outgoing.pending


def read_all(tls: TlsSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += tls.read() or b""
    return data


def read_on(tls: TlsSocket) -> None:
    """Read until something comes."""
    while tls.read() is None:
        pass


@pytest.mark.parametrize("version", BOTH)
def test_each_end_gets_the_bytes_of_the_other(version: ssl.TLSVersion, facing: Make) -> None:
    pair = facing(version)
    assert pair.tls.alpn == "h2"
    for size in (1, 100, RECORD_BYTES, RECORD_BYTES + 1, 50_000):
        data = os.urandom(size)
        assert pair.tls.write(bytearray(data)) == size
        assert pair.peer.read() == data
        pair.peer.send(pair.peer.encrypt(data[:RECORD_BYTES]))
        assert read_all(pair.tls, min(size, RECORD_BYTES)) == data[:RECORD_BYTES]
    assert pair.tls.read() is None


@pytest.mark.parametrize("version", BOTH)
def test_a_byte_at_a_time(version: ssl.TLSVersion, facing: Make) -> None:
    pair = facing(version, greeted=False)
    peer, tls, is_done = pair.peer, pair.tls, False
    while not (peer.step() and is_done):
        data, peer.unsent = peer.unsent, b""
        for index in range(len(data)):
            peer.send(data[index : index + 1])
            is_done = tls.shake_hands() or is_done
    assert not tls.unread
    sealed, heard = peer.encrypt(b"first", b"second"), []
    for index in range(len(sealed)):
        peer.send(sealed[index : index + 1])
        heard.append(tls.read())
    assert [each for each in heard if each is not None] == [b"first", b"second"]


def test_bytes_that_come_with_the_end_of_the_handshake(facing: Make) -> None:
    pair = facing(greeted=False)
    while not pair.peer.step():
        pair.peer.send(pair.peer.unsent)
        pair.peer.unsent = b""
        pair.tls.shake_hands()
    pair.peer.send(pair.peer.unsent + pair.peer.encrypt(b"at once", b" and more"))
    assert pair.tls.shake_hands()
    assert pair.tls.unread
    assert pair.tls.read() == b"at once and more"
    assert not pair.tls.unread
    assert pair.tls.read() is None


def test_a_record_that_is_half_there_at_the_end_of_the_handshake(facing: Make) -> None:
    pair = facing(greeted=False)
    while not pair.peer.step():
        pair.peer.send(pair.peer.unsent)
        pair.peer.unsent = b""
        pair.tls.shake_hands()
    sealed = pair.peer.encrypt(b"in two")
    pair.peer.send(pair.peer.unsent + sealed[:9])
    assert pair.tls.shake_hands()
    assert not pair.tls.unread
    pair.peer.send(sealed[9:])
    assert pair.tls.read() == b"in two"


def test_bytes_and_the_end_that_come_with_the_end_of_the_handshake(facing: Make) -> None:
    pair = facing(greeted=False)
    while not pair.peer.step():
        pair.peer.send(pair.peer.unsent)
        pair.peer.unsent = b""
        pair.tls.shake_hands()
    pair.peer.send(pair.peer.unsent + pair.peer.encrypt(b"bye") + pair.peer.close_notify())
    assert pair.tls.shake_hands()
    assert [pair.tls.read(), pair.tls.unread] == [b"bye", True]
    assert [pair.tls.read(), pair.tls.read()] == [b"", b""]


def test_many_records_in_one_read(facing: Make) -> None:
    pair = facing()
    parts = [bytes([number]) * (number + 1) for number in range(100)]
    pair.peer.send(pair.peer.encrypt(*parts))
    assert pair.tls.read() == b"".join(parts)
    assert pair.tls.read() is None


def test_a_record_larger_than_a_read(facing: Make) -> None:
    pair = facing()
    data = os.urandom(RECORD_BYTES)
    sealed = pair.peer.encrypt(data, b"and one more")
    assert len(sealed) > READ_BYTES
    pair.peer.send(sealed)
    assert pair.tls.read() is None
    assert pair.tls.read() == data + b"and one more"


@pytest.mark.parametrize("version", BOTH)
def test_a_cut_in_the_middle_of_a_record(version: ssl.TLSVersion, facing: Make) -> None:
    pair = facing(version)
    pair.peer.send(pair.peer.encrypt(b"whole") + pair.peer.encrypt(b"cut")[:-1])
    pair.peer.sock.shutdown(socket.SHUT_WR)
    assert [pair.tls.read(), pair.tls.read()] == [b"whole", b""]


@pytest.mark.parametrize("version", BOTH)
def test_a_close_notify_ends_each_way(version: ssl.TLSVersion, facing: Make) -> None:
    pair = facing(version)
    pair.peer.send(pair.peer.encrypt(b"last") + pair.peer.close_notify() + b"and nonsense")
    assert [pair.tls.read(), pair.tls.unread] == [b"last", True]
    assert [pair.tls.read(), pair.tls.read()] == [b"", b""]
    pair.tls.end()
    pair.peer.take()
    assert pair.peer.has_ended
    pair.tls.end()  # raises nothing, however often
    with pytest.raises(ssl.SSLError):
        pair.tls.write(b"after the end")


def test_the_last_bytes_come_before_our_close_notify(facing: Make) -> None:
    pair = facing()
    assert pair.tls.write(b"goodbye") == 7
    pair.tls.end()
    pair.peer.take()
    assert pair.peer.tls.read(100) == b"goodbye"
    assert pair.peer.has_ended


@pytest.mark.parametrize("version", BOTH)
def test_no_session_stays_when_this_end_closes(version: ssl.TLSVersion, facing: Make) -> None:
    pair = facing(version)
    context = pair.tls._tls.context
    pair.tls.end()
    del pair.tls
    assert context.session_stats()["number"] == 0


def test_nonsense_is_answered_by_an_alert_and_ends_both_ways(facing: Make) -> None:
    pair = facing()
    pair.peer.send(pair.peer.encrypt(b"good") + b"\x17\x03\x03\0\x20" + bytes(32))
    assert [pair.tls.read(), pair.tls.read()] == [b"good", b""]
    with pytest.raises(ssl.SSLError) as told:
        pair.peer.read()
    assert "ALERT" in str(told.value)
    with pytest.raises(ssl.SSLError):
        pair.tls.write(b"more")


def test_an_alert_of_the_peer_is_its_end(facing: Make, tmp_path: Path) -> None:
    pair = facing(keylog=tmp_path / "keys")
    raw = RawRecords(pair.peer, tmp_path / "keys")
    pair.peer.send(raw.seal(b"last") + raw.seal(b"\x02\x50", ALERT))  # fatal, internal error
    assert [pair.tls.read(), pair.tls.read()] == [b"last", b""]


@pytest.mark.parametrize("answer", [False, True])
def test_key_updates_of_a_client(answer: bool, facing: Make, tmp_path: Path) -> None:
    pair = facing(keylog=tmp_path / "keys")
    raw = RawRecords(pair.peer, tmp_path / "keys")
    for _ in range(3):
        pair.peer.send(raw.seal(b"old") + raw.key_update(answer=answer) + raw.seal(b" new"))
        assert pair.tls.read() == b"old new"
        assert pair.tls.write(b"heard") == 5
        answers = [(HANDSHAKE, KEY_UPDATE + b"\0")] if answer else []
        assert raw.received() == [*answers, (DATA, b"heard")]
    pair.peer.send(raw.key_update(answer=answer))
    assert pair.tls.read() is None


def test_a_key_update_while_a_record_waits(
    facing: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = facing(keylog=tmp_path / "keys")
    raw = RawRecords(pair.peer, tmp_path / "keys")
    room = throttle(monkeypatch)
    room.extend([10, 0, 0])
    assert pair.tls.write(b"under way") == 0
    pair.peer.send(raw.key_update(answer=True))
    assert pair.tls.read() is None
    room[:] = [5, 100, 1_000]
    assert pair.tls.write(b"under way, and more") == 0
    assert pair.tls.write(b"under way, and more") == 19
    assert raw.received() == [
        (DATA, b"under way"), (HANDSHAKE, KEY_UPDATE + b"\0"), (DATA, b", and more")
    ]  # fmt: skip


def test_key_updates_without_end_end_the_connection(facing: Make, tmp_path: Path) -> None:
    pair = facing(keylog=tmp_path / "keys")
    raw = RawRecords(pair.peer, tmp_path / "keys")
    pair.peer.send(b"".join(raw.key_update(answer=False) for _ in range(3_000)))
    with pytest.raises(PeerError) as ended:
        read_on(pair.tls)
    assert ended.value.code == ErrorCodes.ENHANCE_YOUR_CALM


def test_who_reads_no_answers_to_key_updates_is_given_up(
    facing: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = facing(keylog=tmp_path / "keys")
    raw = RawRecords(pair.peer, tmp_path / "keys")
    throttle(monkeypatch)

    def update() -> None:
        for _ in range(10_000):
            pair.peer.send(raw.key_update(answer=True) + raw.seal(b"content"))
            assert pair.tls.read() == b"content"
            assert len(pair.tls._held) <= 4 * RECORD_BYTES

    with pytest.raises(PeerError) as ended:
        update()
    assert ended.value.reason == "the peer does not read"


def test_small_records_are_no_attack(facing: Make) -> None:
    pair = facing()
    for _ in range(3):
        pair.peer.send(pair.peer.encrypt(*[b"x"] * 3_000))
        assert read_all(pair.tls, 3_000) == b"x" * 3_000


def test_a_renegotiation_is_refused(facing: Make, tmp_path: Path) -> None:
    pair = facing(ssl.TLSVersion.TLSv1_2, greeted=False, keylog=tmp_path / "keys")
    pair.peer.step()
    hello = pair.peer.unsent[5:]
    greet(pair.peer, pair.tls.shake_hands)
    pair.peer.take()
    before = len(pair.peer.wire)
    pair.peer.send(new_handshake(pair.peer, tmp_path / "keys", hello))
    assert not pair.tls.read()
    pair.peer.take()
    answer = pair.peer.wire[before:]
    assert [answer[0], len(answer)] == [ALERT, 5 + 8 + 2 + 16]  # one alert, and no ServerHello


def test_connections_share_memory_and_nothing_else(facing: Make) -> None:
    first = facing(greeted=False)
    second, third = (facing(greeted=False, bios=first.bios) for _ in range(2))
    pairs, done = [first, second, third], {0: False, 1: False, 2: False}
    while not all(done.values()):
        for number, pair in enumerate(pairs):
            pair.peer.step()
            data, pair.peer.unsent = pair.peer.unsent, b""
            for part in (data[:70], data[70:]):
                pair.peer.send(part)
                done[number] = pair.tls.shake_hands() or done[number]
    third.peer.send(b"nonsense" * 10)
    assert third.tls.read() == b""
    for number, pair in enumerate(pairs[:2]):
        assert pair.tls.write(bytes([number]) * 20_000) == 20_000
        pair.peer.send(pair.peer.encrypt(bytes([number])) + pair.peer.encrypt(b"half")[:8])
    for number, pair in enumerate(pairs[:2]):
        assert pair.tls.read() == bytes([number])
        assert pair.peer.read() == bytes([number]) * 20_000


def test_no_method_waits_so_no_two_tasks_meet_in_one() -> None:
    """None but the close of the socket, which leaves OpenSSL alone."""
    waiting = {name for name, it in vars(TlsSocket).items() if iscoroutinefunction(it)}
    assert waiting == {"aclose"}


# -- Back-pressure


def throttle(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The socket takes so many bytes at each write, and none when the list has ended."""
    room: list[int] = []

    def write(fd: int, data: bytes) -> int:
        size = room.pop(0) if room else 0
        if not size:
            raise BlockingIOError
        return os.write(fd, data[:size])

    monkeypatch.setattr(tls_socket, "os", SimpleNamespace(read=os.read, write=write))
    return room


def test_no_more_is_encrypted_while_a_record_waits(
    facing: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = facing()
    room = throttle(monkeypatch)
    room.append(100)
    data = os.urandom(200_000)
    assert pair.tls.write(data) == 0
    held = len(pair.tls._held)
    assert 100 + held <= RECORD_BYTES + 22
    for _ in range(3):
        assert pair.tls.write(data) == 0
        assert len(pair.tls._held) == held
    pair.tls.end()  # says nothing in the middle of a record
    assert len(pair.tls._held) == held
    room.extend([50_000, 1_000])
    assert pair.tls.write(data) == RECORD_BYTES
    assert pair.peer.read() == data[:RECORD_BYTES]


def test_a_handshake_whose_bytes_must_wait(facing: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = facing(greeted=False)
    room = throttle(monkeypatch)
    waits = 0

    def step() -> bool:
        nonlocal waits
        room[:] = [500]
        is_done = pair.tls.shake_hands()
        waits += pair.tls.is_holding
        return is_done

    greet(pair.peer, step)
    assert waits
    room[:] = [100]
    assert pair.tls.write(b"hello") == 5
    assert pair.peer.read() == b"hello"


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_however_little_a_socket_takes_nothing_is_lost_or_doubled(
    certs: DevCerts, data: st.DataObject
) -> None:
    """As a writer does it: what was not taken comes again, with more behind it."""
    pair = Facing(certs)
    with closing(pair), pytest.MonkeyPatch.context() as patch:
        room = throttle(patch)
        waiting, given_, heard = bytearray(), b"", b""
        for _ in range(data.draw(st.integers(1, 8))):
            more = bytes([len(given_) % 251]) * data.draw(st.integers(0, 40_000))
            waiting += more
            given_ += more
            room[:] = data.draw(st.lists(st.integers(0, 20_000), max_size=4))
            del waiting[: pair.tls.write(waiting)]
            heard += pair.peer.read()
        while waiting:
            room[:] = [30_000]
            del waiting[: pair.tls.write(waiting)]
            heard += pair.peer.read()
    assert heard == given_
