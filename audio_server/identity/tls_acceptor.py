"""The way in: a connection that was accepted becomes one over TLS, or is over."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import structlog
import trio

from audio_server.identity.tls import ALPN
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.io.tls import shake_hands
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
        self._turns = trio.CapacityLimiter(AT_ONCE)

    def reload(self) -> None:
        """Use new files for new connections; raises `TlsError` and goes on with the old ones.

        Connections that are open stay as they are.
        """
        self._context = self._make()

    async def secure(self, transport: trio.abc.Stream) -> trio.SSLStream[trio.abc.Stream] | None:
        """The connection over TLS; None for one that came to nothing: it is logged and closed.

        Raises nothing that a client could cause. A cancel closes the connection.
        """
        peer = Peer(transport)
        queued = InTurn(transport, self._turns)
        stream: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
            queued, self._context, server_side=True, https_compatible=True
        )
        is_secure = False
        try:
            reason = await _shake_hands(stream, self._handshake_s)
            is_secure = reason is None
        finally:
            if not is_secure:
                await trio.aclose_forcefully(transport)
        if reason is not None:
            log.info("TLS handshake failed", peer=str(peer), reason=reason)
            return None
        stream.transport_stream = transport
        return stream


class InTurn(trio.abc.Stream):
    """A transport whose readers take their bytes in turns.

    When a thousand devices come back at once their handshakes would be one long turn of the loop;
    so they are many short ones, with sound and timers in between.
    """

    def __init__(self, transport: trio.abc.Stream, turns: trio.CapacityLimiter) -> None:
        self._transport = transport
        self._turns = turns

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the transport's, in a turn of the loop that has few others."""
        data = await self._transport.receive_some(max_bytes)
        async with self._turns:
            await trio.lowlevel.checkpoint()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the transport's."""
        await self._transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the transport's."""
        await self._transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the transport's."""
        await self._transport.aclose()


async def _shake_hands(stream: trio.SSLStream[trio.abc.Stream], within_s: float) -> str | None:
    """Return the fault of a handshake; None if it succeeded."""
    try:
        # `fail_after` would leave a cycle (`process.socket_errors`)
        with trio.move_on_after(within_s) as waiting:
            await shake_hands(stream)
    except trio.BrokenResourceError as error:
        return _said(error.__cause__)
    if waiting.cancelled_caught:
        return f"not done in {within_s:g} s"
    if stream.selected_alpn_protocol() != ALPN:
        return "the client does not offer HTTP/2 (ALPN h2)"
    return None


def _said(error: BaseException | None) -> str:
    """OpenSSL's reason in words, without its source lines."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate: {error.verify_message}"
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else "the client hung up"
