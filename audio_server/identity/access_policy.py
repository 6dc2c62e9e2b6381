"""The proofs that a server asks of its peers, combined from its settings.

Each setting adds a proof: with `tls_client_ca` and `tokens` a device needs both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Protocol

import structlog
import trio

from audio_server.errors import SetupError
from audio_server.identity.authenticator import (
    AllOf,
    Authenticator,
    Caller,
    Certificates,
    NoAuth,
    Tokens,
)
from audio_server.identity.tls import TlsError, server_context
from audio_server.identity.tls_acceptor import TlsAcceptor
from audio_server.identity.token_reloader import TokenReloader
from audio_server.identity.tokens import TOKENS_FILE, Enrolment
from audio_server.rpc.io.fair_queue import ReadScheduler
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.io.sockets import Transport
from audio_server.settings import Settings
from audio_server.settings.addresses import is_loopback

log = structlog.get_logger()


class SharedTokens(Protocol):
    """Enrolments that several servers share."""

    @property
    def tokens(self) -> Mapping[str, Enrolment]:
        """Those that are known here, by device."""

    @property
    def is_up(self) -> bool:
        """Whether all are."""

    def follow_tokens(self, changed: Callable[[str], None]) -> None:
        """Have `changed` called with each device whose enrolment has changed."""


class AccessPolicy:
    """Admits connections by `secure`, and calls by `admit`; `at_work` must be entered.

    Tokens are those of `shared`, or else of the file in the data folder. Making one reads the
    files; raises `SetupError` for an unusable one.
    """

    def __init__(self, settings: Settings, shared: SharedTokens | None = None) -> None:
        _check_proxies(settings)
        self._acceptor = _acceptor(settings)
        self._watch = None if shared is not None else _watch(settings)
        self._identity = _identity(settings, _tokens(settings, self._watch, shared))

    def admit(self, call: Caller, device_id: str) -> AbstractContextManager[None]:
        """As `Authenticator.admit`."""
        return self._identity.admit(call, device_id)

    @property
    def is_encrypted(self) -> bool:
        """Whether connections go on over TLS. Where not, `secure` has nothing to do."""
        return self._acceptor is not None

    async def secure(
        self,
        transport: trio.SocketStream,
        peer: Peer | None = None,
        scheduler: ReadScheduler | None = None,
    ) -> Transport | None:
        """Return the transport that a connection goes on over; None if it is over. As
        `TlsAcceptor.secure`."""
        if self._acceptor is None:
            return transport
        return await self._acceptor.secure(transport, peer, scheduler)

    def reload(self) -> None:
        """Read certificates anew, for new connections; those that are bad are logged, and the old
        ones count on."""
        try:
            if self._acceptor is not None:
                self._acceptor.reload()
                log.info("certificates reloaded")
        except TlsError as error:
            log.error("certificates not reloaded", reason=str(error))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A block in which it keeps up with the tokens."""
        async with trio.open_nursery() as nursery:
            if self._watch is not None:
                nursery.start_soon(self._watch.run)
            yield
            nursery.cancel_scope.cancel()

    def warn(self, addresses: Iterable[Sequence[object]]) -> None:
        """Warn of the rights of any peer that reaches these socket addresses."""
        if all(is_loopback(str(address[0])) for address in addresses):
            return
        if isinstance(self._identity, NoAuth):
            log.warning(
                "any peer that reaches the port can be any device", see="--tls-client-ca, --tokens"
            )
        elif self._acceptor is None:
            log.warning("tokens are sent in the clear", see="--tls-cert")


def _check_proxies(settings: Settings) -> None:
    if settings.proxy_protocol == "required" and not settings.trusted_proxies:
        reason = "needs --trusted-proxies, the addresses that may name clients"
        raise SetupError("--proxy-protocol", reason)


def _acceptor(settings: Settings) -> TlsAcceptor | None:
    cert, key, ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None:
        raise SetupError("TLS", "needs both --tls-cert and --tls-key")
    return TlsAcceptor(partial(server_context, cert, key, ca), settings.limits)


def _watch(settings: Settings) -> TokenReloader | None:
    if settings.tokens == "off":
        return None
    if settings.data is None:
        raise SetupError("--tokens", "needs a data folder, in which the tokens are")
    return TokenReloader(settings.data / TOKENS_FILE)


def _tokens(
    settings: Settings, watch: TokenReloader | None, shared: SharedTokens | None
) -> Tokens | None:
    if settings.tokens == "off" or shared is None:
        return None if watch is None else watch.tokens
    tokens = Tokens(lambda: shared.is_up)
    tokens.use(shared.tokens)
    shared.follow_tokens(tokens.review)
    return tokens


def _identity(settings: Settings, tokens: Tokens | None) -> Authenticator:
    asked: list[Authenticator] = []
    if settings.tls_client_ca is not None:
        asked.append(Certificates())
    if tokens is not None:
        asked.append(tokens)
    if len(asked) > 1:
        return AllOf(asked)
    return asked[0] if asked else NoAuth()
