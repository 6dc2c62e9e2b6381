"""How the bytes of one device travel: as they are, or over TLS without a task or a thread."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Protocol

_RAW_BYTES = 64 * 1024

_raw = memoryview(bytearray(_RAW_BYTES))
"""Records on their way from any socket of this process into its TLS object."""


class Link(Protocol):
    """A non-blocking connection. Both methods raise `OSError` where it is broken."""

    client: socket.socket

    def receive(self, into: memoryview) -> int:
        """Read some bytes; 0 at the end. Raises `BlockingIOError` where none are there."""

    def send(self, data: bytes | bytearray) -> int:
        """Return how many bytes were taken. Raises `BlockingIOError` where there is no room."""


class Plain:
    """The socket alone."""

    __slots__ = ("client", "receive", "send")

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.receive = client.recv_into
        self.send = client.send


class Tls:
    """A TLS client on memory: one system call for all records that are there.

    Takes no bytes before the handshake is done: the owner offers them again after each `receive`.
    `into` has room for all that is read at once, which is less than `_RAW_BYTES` and a record.
    """

    __slots__ = ("_incoming", "_outgoing", "_ready", "_tls", "_unsent", "client")

    def __init__(self, client: socket.socket, context: ssl.SSLContext) -> None:
        self.client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._unsent = b""
        self._ready = False
        self._shake_hands()

    def receive(self, into: memoryview) -> int:
        """Decrypt what has come, and take the handshake further until it is done."""
        received = self.client.recv_into(_raw)
        if not received:
            return 0
        self._incoming.write(_raw[:received])
        if not self._ready:
            self._shake_hands()
        end = 0
        try:
            while self._ready and (self._incoming.pending or self._tls.pending()):
                count = self._tls.read(len(into) - end, into[end:])
                if not count:  # close_notify
                    return end
                end += count
        except ssl.SSLWantReadError:
            pass
        if not end:
            raise BlockingIOError
        return end

    def send(self, data: bytes | bytearray) -> int:
        """Encrypt all of it; records that find no room go first the next time."""
        taken = self._tls.write(data) if self._ready and data else 0
        self._flush()
        return taken

    def _shake_hands(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self._ready = True
        self._flush()

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        if self._unsent:
            with suppress(BlockingIOError):
                self._unsent = self._unsent[self.client.send(self._unsent) :]


def client_context() -> ssl.SSLContext:
    """TLS 1.3 of a device that is satisfied with any certificate: checking it costs the load side
    time, and the server nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context
