"""The server as its pages see it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from audio_server.clips.repository import Repository
from audio_server.device.live_channel import LiveChannel
from audio_server.fleet.fleet import Fleet
from audio_server.groups.groups import Groups, no_groups
from audio_server.live.recordings import Recordings
from audio_server.settings import Settings
from audio_server.settings.addresses import reachable

if TYPE_CHECKING:
    from audio_server.rpc.client import Channel


class OwnCertificate:
    """Trust in the server's own certificate, as its file was when it could last be used."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    def trust(self, cert: Path | None) -> ssl.SSLContext | None:
        """Return the context of a client of this server; None where it speaks no TLS.

        Raises `OSError` for a file that could never be used.
        """
        if cert is None:
            return None
        try:
            self._context = _trusting(cert)
        except OSError:
            if self._context is None:
                raise
        return self._context


@dataclass(frozen=True, slots=True)
class Context:
    """`repository` is the clips, which change. `fleet` is all devices, wherever they live; the
    server of the pages runs it. `metrics` is the text for Prometheus, of all processes. `channels`
    are modes after the clips, and `recordings` those of their sound, None where nothing is kept.
    `groups` are those with settings of their own.

    `ready` is set when devices are welcome, `stop` when the server begins to drain, `over` when it
    has, and then the rest of the pages ends. `reloads` are called when files must be read again.
    """

    settings: Settings
    port: int
    repository: Repository
    fleet: Fleet
    stop: trio.Event
    metrics: Callable[[], str]
    channels: Sequence[LiveChannel] = ()
    recordings: Recordings | None = None
    ready: trio.Event = field(default_factory=trio.Event)
    over: trio.Event = field(default_factory=trio.Event)
    reloads: list[Callable[[], None]] = field(default_factory=list)
    own_certificate: OwnCertificate = field(default_factory=OwnCertificate)
    groups: Groups = field(kw_only=True, default_factory=no_groups)

    def __post_init__(self) -> None:
        self.own_certificate.trust(self.settings.tls_cert)

    def reload(self) -> None:
        """Read the files of the pages again."""
        for reload in self.reloads:
            reload()

    @property
    def closed_because(self) -> str | None:
        """Why no page can have a device here; None where it can."""
        if self.settings.tokens == "required":
            return "this server asks each device for its token"
        if self.settings.tls_client_ca is not None:
            return "this server asks each device for its certificate"
        return None

    def open_channel(self) -> AbstractAsyncContextManager[Channel]:
        """A connection to this server, as any device opens one."""
        from audio_server.rpc.client import open_channel

        host = reachable(self.settings.host)
        settings = self.settings
        return open_channel(
            host,
            self.port,
            ssl_context=self.own_certificate.trust(settings.tls_cert),
            proxies=settings.trusted_proxies if settings.proxy_protocol == "required" else (),
        )


def _trusting(cert: Path) -> ssl.SSLContext:
    """Accept any name in the certificate: the server asks itself."""
    context = ssl.create_default_context(cafile=str(cert))
    context.set_alpn_protocols(["h2"])
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
