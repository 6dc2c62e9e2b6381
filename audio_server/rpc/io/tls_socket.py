"""TLS on a socket, without a task and without waiting.

`trio.SSLStream` takes several steps of a task for each read and write. Here OpenSSL works on
memory: a read feeds it the bytes of one system call, and a write is encrypted and sent with one, so
the short ways of plain sockets hold with TLS too (`sockets` has the common interface).

**No two tasks meet in one OpenSSL object.** No method awaits, so each runs to its end within one
step of the loop, and no other thread has the object.

Invariant: between two methods both memory BIOs are empty. Encrypted bytes that the socket did not
take are in `_held`, and plaintext that came with the end of the handshake is in `_early`. So one
pair of BIOs serves all connections of a loop (`Bios`).
"""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from typing import Any

import trio
from h2.errors import ErrorCodes

from audio_server.rpc.errors import PeerError

READ_BYTES = 16 * 1024

_RECORD_BYTES = 16 * 1024
"""The most plaintext of one record. A read of so many leaves none of a record in OpenSSL."""

_CREDIT_BYTES = 2 * _RECORD_BYTES
"""Bytes that may come without plaintext, such as key updates: more than one unfinished record."""

_CREDIT_FACTOR = 32
"""Such bytes for each one of plaintext: a record with a single byte has 22 to 29 others."""

_HELD_BYTES = 4 * _RECORD_BYTES
"""Encrypted bytes that wait for the socket: one record of ours, and answers to key updates."""


class Bios:
    """The memory between OpenSSL and the sockets of one loop.

    A buffer stays as large as its largest content, which is 7 KB for a connection that has its own.
    """

    __slots__ = ("incoming", "outgoing")

    def __init__(self) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()


class TlsSocket(trio.abc.AsyncResource):
    """The server's end of TLS on a socket; call `shake_hands` first, until it returns True.

    A fault of TLS is the end of the peer's bytes: the peer gets the alert, and `write` fails.
    """

    __slots__ = ("_bios", "_credit", "_early", "_has_ended", "_held", "_sealed", "_tls", "fd",
                 "stream", "unread")  # fmt: skip

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext, bios: Bios) -> None:
        self.stream = stream
        self.fd = stream.socket.fileno()
        self.unread = False
        self._bios = bios
        self._tls = context.wrap_bio(bios.incoming, bios.outgoing, server_side=True)
        self._credit = _CREDIT_BYTES
        self._early = b""
        self._has_ended = False
        self._held = b""
        self._sealed = 0  # bytes of the next write that are encrypted in `_held`

    def shake_hands(self, first: bytes = b"") -> bool:
        """Go on with the bytes that are there; return whether the handshake is done. `first` are
        the first ones, where they were read already.

        If not, call this again when the socket is writable (where `is_holding`) or readable. Raises
        `ssl.SSLError` for a fault of the peer, which gets the alert, and other `OSError` where the
        peer is gone.
        """
        if self._held and not self._send(self._held):
            return False
        try:
            data = first or os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError("the peer has closed")
        if not self._feed_handshake(data):
            return False
        if self._bios.incoming.pending:
            self._early = self._decrypt()
            self.unread = bool(self._early) or self._has_ended
        return True

    def _feed_handshake(self, data: bytes) -> bool:
        incoming = self._bios.incoming
        incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except BaseException:
            incoming.read()
            raise
        finally:
            self._send_own()
        return True

    @property
    def is_holding(self) -> bool:
        """Whether encrypted bytes wait for the socket."""
        return bool(self._held)

    @property
    def alpn(self) -> str | None:
        """The protocol on which both ends agreed."""
        return self._tls.selected_alpn_protocol()

    def getpeercert(self) -> dict[str, Any] | None:
        """Return the peer's certificate; None or empty where none was verified."""
        return self._tls.getpeercert()

    def read(self) -> bytes | None:
        """Return the plaintext of the bytes that are there; b"" at the end; None for no whole
        record. Raises `OSError`, and `PeerError` for too many bytes without plaintext."""
        if self.unread:
            data, self._early = self._early, b""
            self.unread = self._has_ended
            return data
        try:
            sealed = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return None
        if not sealed:
            return sealed
        self._bios.incoming.write(sealed)
        data = self._decrypt()
        self._credit = min(_CREDIT_BYTES, self._credit + _CREDIT_FACTOR * len(data) - len(sealed))
        if self._credit < 0:
            raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, "too many TLS records without content")
        self.unread = self._has_ended
        return data if data or self._has_ended else None

    def _decrypt(self) -> bytes:
        """Take all plaintext of the incoming bytes, and notice the end."""
        incoming, data = self._bios.incoming, b""
        try:
            while record := self._tls.read(_RECORD_BYTES):
                data += record
                if not incoming.pending:  # cheaper than the exception below
                    break
            else:
                self._has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._has_ended = True
        finally:
            incoming.read()
            self._send_own()
        return data

    def write(self, data: bytes | bytearray) -> int:
        """Return the number of bytes that the socket took, each with all of its record.

        While bytes of a record wait for the socket no more are encrypted. Raises `OSError`.
        """
        taken = 0
        if self._held:
            if not self._send(self._held):
                return 0
            taken, self._sealed = self._sealed, 0
        while taken < len(data):
            is_part = taken or len(data) > _RECORD_BYTES
            part = data[taken : taken + _RECORD_BYTES] if is_part else data
            try:
                size = self._tls.write(part)
            finally:
                sealed = self._bios.outgoing.read()
            if not self._send(sealed):
                self._sealed = size
                break
            taken += size
        return taken

    def end(self) -> None:
        """Send close_notify if the socket takes it. Raises nothing.

        With TLS 1.2 it only answers the peer's: OpenSSL caches the session of a connection that
        ended so, 11 KB of memory with a client's certificate, and Python cannot forbid that.
        """
        if not self._held and (self._has_ended or self._tls.version() != "TLSv1.2"):
            with suppress(OSError):  # one is raised while the peer's close_notify has not come
                self._tls.unwrap()
            self._send_own()

    def _send_own(self) -> None:
        """Send what OpenSSL says by itself: handshakes, answers to key updates, alerts.

        An error of the socket is left to the next read or write.
        """
        sealed = self._bios.outgoing.read()
        if self._held:
            self._held += sealed
            if len(self._held) > _HELD_BYTES:
                raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, "the peer does not read")
        elif sealed:
            with suppress(OSError):
                self._send(sealed)

    def _send(self, sealed: bytes) -> bool:
        """Send encrypted bytes; return whether the socket took all, and hold the rest."""
        try:
            sent = os.write(self.fd, sealed)
        except BlockingIOError:
            sent = 0
        self._held = sealed[sent:]
        return not self._held

    async def aclose(self) -> None:
        """Close the socket, without a close_notify."""
        await self.stream.aclose()
