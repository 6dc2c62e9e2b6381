"""The way in: a connection that was accepted becomes one over TLS, or is over."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable

import structlog
import trio

from audio_server.identity.tls import ALPN
from audio_server.rpc.io.fair_queue import WIDTH, ReadScheduler
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.io.tls_socket import READ_BYTES, Bios, TlsSocket
from audio_server.rpc.limits import Limits

AT_ONCE = 8
"""How many steps of handshakes are taken in one turn of the loop; each costs up to a millisecond,
in which no sound is sent."""

log = structlog.get_logger()

MakeContext = Callable[[], ssl.SSLContext]


class TlsAcceptor:
    """Takes connections through the handshake, with the context that is newest at that time.

    `make` reads the files anew; it raises `TlsError`.
    """

    def __init__(self, make: MakeContext, limits: Limits | None = None) -> None:
        self._make = make
        self._handshake_s = (limits or Limits()).handshake_s
        self._context = make()
        self._bios = Bios()

    def reload(self) -> None:
        """Use new files for new connections; raises `TlsError` and goes on with the old ones.

        Connections that are open stay as they are.
        """
        self._context = self._make()

    async def secure(
        self,
        transport: trio.SocketStream,
        peer: Peer | None = None,
        scheduler: ReadScheduler | None = None,
    ) -> TlsSocket | None:
        """Return the connection over TLS; None for one that came to nothing: it is logged and
        closed, with the address of `peer`. `scheduler` bounds the steps in a turn of the loop.

        Raises nothing that a client could cause. A cancel closes the connection.
        """
        peer, tls = peer or Peer(transport), None
        try:
            # `fail_after` would leave a cycle (`process.socket_errors`)
            with trio.move_on_after(self._handshake_s):
                tls = await self._shake_hands(transport, scheduler)
            reason = f"not done in {self._handshake_s:g} s" if tls is None else _objection(tls)
        except OSError as error:
            reason = _said(error)
        finally:
            if tls is None:
                await trio.aclose_forcefully(transport)
        if reason is None:
            return tls
        log.info("TLS handshake failed", peer=str(peer), reason=reason)
        await trio.aclose_forcefully(transport)
        return None

    async def _shake_hands(
        self, transport: trio.SocketStream, scheduler: ReadScheduler | None
    ) -> TlsSocket:
        """Raises `OSError`.

        When a thousand devices come back at once their handshakes would be one long turn of the
        loop; so they are many short ones, with sound and timers in between.
        """
        # A client that says nothing has no OpenSSL object, whose handshake takes 20 to 48 KB.
        first = await _first_bytes(transport.socket.fileno())
        tls = TlsSocket(transport, self._context, self._bios)
        while True:
            if scheduler is not None:
                await scheduler.enter(WIDTH // AT_ONCE)
            if tls.shake_hands(first):
                return tls
            first = b""
            if tls.is_holding:
                await trio.lowlevel.wait_writable(tls.fd)
            else:
                await trio.lowlevel.wait_readable(tls.fd)


async def _first_bytes(fd: int) -> bytes:
    """Return the first bytes of a client. Raises `OSError`."""
    while True:
        try:
            if data := os.read(fd, READ_BYTES):
                return data
        except BlockingIOError:
            await trio.lowlevel.wait_readable(fd)
        else:
            raise ConnectionResetError


def _objection(tls: TlsSocket) -> str | None:
    return None if tls.alpn == ALPN else "the client does not offer HTTP/2 (ALPN h2)"


def _said(error: OSError) -> str:
    """OpenSSL's reason in words, without its source lines."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate: {error.verify_message}"
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else "the client hung up"
