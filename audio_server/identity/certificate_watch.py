"""Certificates as they are now: read again when their files have changed, and warned of before
they expire. One task of a server does it, for all of its processes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn

import structlog
import trio

from audio_server.errors import SetupError
from audio_server.files.small_file import read_small
from audio_server.identity.file_watch import FileWatch
from audio_server.identity.tls import CERTIFICATES_MAX_BYTES, server_context
from audio_server.settings import Settings

LOOK_S = 3.0
"""How often it is seen whether the files have changed."""

WARN_DAYS = (30, 7, 1, 0)
"""Days before its end at which a certificate is warned of; 0 is when it has expired."""

Reload = Callable[[], None]
Tell = Callable[[str, float], None]

_DAY_S = 24 * 3600.0

log = structlog.get_logger()


class Expiry(NamedTuple):
    """When the first certificate of a file ends."""

    name: str
    """Which file it is: the label of the metric."""
    path: Path
    ends_at: float
    """In seconds since 1970."""


class _Found(NamedTuple):
    """The content of the files when they were last read."""

    digest: bytes
    expiries: list[Expiry]


class CertificateWatch:
    """Follows the certificate, the key and the authorities that a server is started with.

    Making one reads the files, and blocks; raises `SetupError`.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._cert, self._key = settings.tls_cert, settings.tls_key
        self._ca = settings.tls_client_ca
        self._now = now
        self._paths = [path for path in (self._cert, self._key, self._ca) if path is not None]
        self._watch = FileWatch(self._paths)
        self._in_use = self._read()
        self._has_doubts = False
        self._warned: dict[Expiry, int] = {}

    @asynccontextmanager
    async def at_work(self, reload: Reload, tell: Tell) -> AsyncIterator[None]:
        """Follow the files as long as the block lasts.

        `reload` is called when they have changed and can be used: it has all that uses them read
        them again. `tell` gets the name and the end of each file, in seconds since 1970.
        """
        async with trio.open_nursery() as nursery:
            if self._in_use.expiries:
                nursery.start_soon(self._follow, reload, tell)
            yield
            nursery.cancel_scope.cancel()

    async def _follow(self, reload: Reload, tell: Tell) -> NoReturn:
        while True:
            await self.look(reload, tell)
            await trio.sleep(LOOK_S)

    async def look(self, reload: Reload, tell: Tell) -> None:
        """Look once; as `at_work`, which does it every `LOOK_S`."""
        if await self._watch.has_changed():
            # A certificate and its key are not replaced in one step: those that do not fit have
            # until the next look.
            self._has_doubts = not await self._renew(reload, is_last_try=False)
        elif self._has_doubts:
            self._has_doubts = False
            await self._renew(reload, is_last_try=True)
        self._report(tell)

    async def _renew(self, reload: Reload, *, is_last_try: bool) -> bool:
        """Have the files read again; False if they are bad, which the last try warns of."""
        try:
            found = await trio.to_thread.run_sync(self._read, abandon_on_cancel=True)
        except SetupError as error:
            if is_last_try:
                remedy = "the old certificate stays in use until the files are right"
                log.error("certificates not reloaded", reason=str(error), remedy=remedy)
            return False
        if found.digest != self._in_use.digest:
            self._in_use = found
            reload()
        return True

    def _read(self) -> _Found:
        """Return the content of the files, if it is usable; raises `SetupError`."""
        if self._cert is None or self._key is None:
            return _Found(b"", [])
        content = b"".join(read_small(path, CERTIFICATES_MAX_BYTES) for path in self._paths)
        digest = hashlib.sha256(content).digest()  # of all the files: a `touch` is no renewal
        server_context(self._cert, self._key, self._ca)
        expiries = [_expiry("server", self._cert)]
        if self._ca is not None:
            expiries.append(_expiry("client_ca", self._ca))
        return _Found(digest, expiries)

    def _report(self, tell: Tell) -> None:
        now = self._now()
        for expiry in self._in_use.expiries:
            tell(expiry.name, expiry.ends_at)
            self._warn(expiry, (expiry.ends_at - now) / _DAY_S)
        self._warned = {expiry: self._warned[expiry] for expiry in self._in_use.expiries}

    def _warn(self, expiry: Expiry, days_left: float) -> None:
        """Warn once at each of `WARN_DAYS`, only of the last one that has passed."""
        passed = sum(days_left <= days for days in WARN_DAYS)
        before = self._warned.get(expiry, 0)
        self._warned[expiry] = passed
        if passed <= before:
            return
        ends = datetime.fromtimestamp(expiry.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        remedy = "put a new one into the same file; it is used within seconds"
        facts = {"path": str(expiry.path), "expires": ends, "remedy": remedy}
        if days_left <= 0:
            log.error("certificate expired", **facts)
        else:
            log.warning("certificate expires soon", days_left=round(days_left, 1), **facts)


def _expiry(name: str, path: Path) -> Expiry:
    """Return when the first of the certificates in a file ends. Raises `SetupError`."""
    from cryptography import x509  # 7 MB, which only servers with TLS need

    try:
        certificates = x509.load_pem_x509_certificates(read_small(path, CERTIFICATES_MAX_BYTES))
        ends_at = min(cert.not_valid_after_utc.timestamp() for cert in certificates)
    except (ValueError, OverflowError) as error:
        raise SetupError(path, "holds a certificate that cannot be read") from error
    return Expiry(name, path, ends_at)
