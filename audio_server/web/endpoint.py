"""The endpoint of the pages: with or without TLS, with or without a token.

On loopback they are plain HTTP: no other machine can listen, browsers take loopback for safe, and a
certificate names other hosts. Beyond it they have the server's own certificate, if there is one.
Over TLS as without it they are HTTP/1.1: HTTP/2 would save a browser connections, of which it needs
few here, and would add work that anonymous clients can cause.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from audio_server.errors import SetupError
from audio_server.files.small_file import read_token
from audio_server.identity.tls import server_context
from audio_server.settings import Settings
from audio_server.settings.addresses import Address, is_loopback
from audio_server.web.access import Admitted
from audio_server.web.ended_sessions import EndedSessions
from audio_server.web.login import Login
from audio_server.web.token_file import ENDED_FILE, LENGTH_MIN, cookie_key, token_file

ALPN: Final = "http/1.1"

log = structlog.get_logger()


class RenewedTls:
    """A context for connections that gives each new connection the newest certificate.

    Making one reads the files; raises `TlsError`.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._make = partial(server_context, cert, key, None, alpn=ALPN)
        self._newest = self.context = self._make()
        self.context.sni_callback = self._renew  # called without a name too

    def reload(self) -> None:
        """Read the files anew. Raises `TlsError`, and goes on with the old certificate."""
        self._newest = self._make()

    def _renew(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._newest


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`token_file` is where operators find their token, if they need one."""

    address: Address
    entry: Admitted
    token_file: Path | None
    renewed: RenewedTls | None

    @property
    def url(self) -> str:
        """The URL for a browser."""
        return f"{'https' if self.renewed else 'http'}://{self.address}"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context of each connection, if they are over TLS."""
        return self.renewed.context if self.renewed else None

    def reload(self) -> None:
        """Read the files again; a bad one is logged, and its former content stays in force.

        Another token logs all operators out, and ends their open requests.
        """
        try:
            if self.renewed is not None:
                self.renewed.reload()
            if self.token_file is not None and self.entry.login is not None:
                self.entry.login.use(read_token(self.token_file, least=LENGTH_MIN))
        except SetupError as error:
            log.error("files of the pages not reloaded", reason=str(error))

    def warn(self) -> None:
        """Warn of the secrets that a listener on the network could learn."""
        if self.token_file is not None and not self.entry.loopback and self.renewed is None:
            log.warning("the operators' token is sent in the clear", see="--tls-cert")


def endpoint(settings: Settings, bound: tuple[Any, ...]) -> Endpoint:
    """The way in to a listener that is bound to this socket address.

    Reads the files, and makes the one with the token at the first start; raises `SetupError`.
    """
    address = Address(*bound[:2])
    loopback = is_loopback(address.host)
    path = token_file(settings, loopback=loopback)
    login = None
    if path is not None:
        ended = EndedSessions(settings.data and settings.data / ENDED_FILE)
        login = Login(read_token(path, least=LENGTH_MIN), cookie_key(settings), ended)
    cert, key = settings.tls_cert, settings.tls_key
    secured = not loopback and cert is not None and key is not None
    renewed = RenewedTls(cert, key) if secured and cert and key else None
    return Endpoint(address, Admitted(loopback, login), path, renewed)
