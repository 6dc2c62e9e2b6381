"""Ends of TLS for tests: a client without a socket, and records that no client would send.

`RawRecords` protects records by itself, with the secrets of a handshake that OpenSSL has done, so
it can send key updates, records without content and new handshakes at any time.
"""

from __future__ import annotations

import hmac
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, DATA = 21, 22, 23
KEY_UPDATE = b"\x18\0\0\1"
_HEADER = struct.Struct(">BHH")
_TAG_BYTES = 16


class TlsPeer:
    """A client at the other end of a socket; it never waits."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.wire = b""
        """All that the server has sent."""
        self.unsent = b""

    def take(self) -> None:
        """Take what the server has sent."""
        with suppress(BlockingIOError):
            while data := self.sock.recv(65536):
                self.wire += data
                self.incoming.write(data)

    def step(self) -> bool:
        """One step of the handshake, whose bytes are kept in `unsent`; whether it is done."""
        self.take()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.unsent += self.outgoing.read()
        return True

    def encrypt(self, *parts: bytes) -> bytes:
        """A record for each part."""
        for part in parts:
            self.tls.write(part)
        return self.outgoing.read()

    def close_notify(self) -> bytes:
        """The end of what this end says."""
        with suppress(ssl.SSLError):
            self.tls.unwrap()
        return self.outgoing.read()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self) -> bytes:
        """All plaintext that is there; raises the errors of OpenSSL."""
        self.take()
        data = b""
        with suppress(ssl.SSLWantReadError):
            while part := self.tls.read(65536):
                data += part
        return data

    @property
    def has_ended(self) -> bool:
        """Whether the server has said that it ends."""
        try:
            return self.tls.read(1) == b""
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLWantReadError:
            return False


def greet(peer: TlsPeer, shake_hands: Callable[[], bool]) -> None:
    """Both halves of a handshake."""
    is_done = False
    while not (peer.step() and is_done):
        data, peer.unsent = peer.unsent, b""
        peer.send(data)
        is_done = shake_hands() or is_done


class _Keys:
    """Protection of one direction."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self.cipher, self.iv, self.number = AESGCM(key), iv, 0

    def counter(self) -> bytes:
        number = struct.pack(">Q", self.number)
        self.number += 1
        return number


class RawRecords:
    """TLS 1.3 after a handshake: records sealed and opened by hand."""

    def __init__(self, peer: TlsPeer, keylog: Path) -> None:
        cipher = peer.tls.cipher()
        assert cipher is not None
        self.digest = "sha384" if cipher[0].endswith("384") else "sha256"
        self.key_bytes = 32 if "256_GCM" in cipher[0] else 16
        secrets = {line.split()[0]: line.split()[2] for line in keylog.read_text().splitlines()}
        self.secrets = [
            bytes.fromhex(secrets[f"{end}_TRAFFIC_SECRET_0"]) for end in ("CLIENT", "SERVER")
        ]
        self.ours, self.theirs = map(self._keys, self.secrets)
        self.sock, self.rest = peer.sock, b""

    def _expand(self, secret: bytes, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = struct.pack(">HB", size, len(label)) + label + b"\0"
        return hmac.digest(secret, info + b"\1", self.digest)[:size]

    def _keys(self, secret: bytes) -> _Keys:
        return _Keys(self._expand(secret, b"key", self.key_bytes), self._expand(secret, b"iv", 12))

    def _renew(self, end: int) -> _Keys:
        size = len(self.secrets[end])
        self.secrets[end] = self._expand(self.secrets[end], b"traffic upd", size)
        return self._keys(self.secrets[end])

    @staticmethod
    def _nonce(keys: _Keys) -> bytes:
        number = b"\0" * 4 + keys.counter()
        return bytes(a ^ b for a, b in zip(keys.iv, number, strict=True))

    def seal(self, content: bytes, kind: int = DATA) -> bytes:
        """One record."""
        header = _HEADER.pack(DATA, 0x303, len(content) + 1 + _TAG_BYTES)
        inner = content + bytes([kind])
        return header + self.ours.cipher.encrypt(self._nonce(self.ours), inner, header)

    def key_update(self, *, answer: bool) -> bytes:
        """New keys for what follows; the other end may be asked for the same."""
        record = self.seal(KEY_UPDATE + bytes([answer]), HANDSHAKE)
        self.ours = self._renew(0)
        return record

    def received(self) -> list[tuple[int, bytes]]:
        """Kind and content of the records that are there, key updates obeyed."""
        with suppress(BlockingIOError):
            while data := self.sock.recv(65536):
                self.rest += data
        found = []
        while len(self.rest) >= _HEADER.size:
            size = _HEADER.size + _HEADER.unpack_from(self.rest)[2]
            if len(self.rest) < size:
                break
            record, self.rest = self.rest[:size], self.rest[size:]
            header, sealed = record[: _HEADER.size], record[_HEADER.size :]
            inner = self.theirs.cipher.decrypt(self._nonce(self.theirs), sealed, header)
            found.append((inner[-1], inner[:-1]))
            if inner[:-1].startswith(KEY_UPDATE) and inner[-1] == HANDSHAKE:
                self.theirs = self._renew(1)
        return found


def new_handshake(peer: TlsPeer, keylog: Path, hello: bytes) -> bytes:
    """A ClientHello on a connection of TLS 1.2 that has had its handshake, and nothing else."""
    cipher = peer.tls.cipher()
    assert cipher is not None
    digest = "sha384" if cipher[0].endswith("384") else "sha256"
    size = 32 if "AES256" in cipher[0] else 16
    _, client_random, master = keylog.read_text().split()[-3:]
    server_random = peer.wire[11:43]  # of the ServerHello, the first message
    seed = b"key expansion" + server_random + bytes.fromhex(client_random)
    block, chained = b"", seed
    while len(block) < 2 * size + 8:
        chained = hmac.digest(bytes.fromhex(master), chained, digest)
        block += hmac.digest(bytes.fromhex(master), chained + seed, digest)
    key, salt = block[:size], block[2 * size : 2 * size + 4]
    number = struct.pack(">Q", 1)  # the Finished was 0
    extra = number + _HEADER.pack(HANDSHAKE, 0x303, len(hello))
    sealed = number + AESGCM(key).encrypt(salt + number, hello, extra)
    return _HEADER.pack(HANDSHAKE, 0x303, len(sealed)) + sealed
