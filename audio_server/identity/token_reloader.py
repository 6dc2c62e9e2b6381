"""Tokens as they are now: the file of them is read again whenever it has changed."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import structlog
import trio

from audio_server.identity.authenticator import Tokens
from audio_server.identity.tokens import TokenError, read_tokens

LOOK_S = 1.0
"""How often it is seen whether the file has changed; a revoked device is dropped within that."""

Stamp = tuple[int, int, int] | None

log = structlog.get_logger()


class TokenReloader:
    """Keeps `tokens` as the file `path` has them. `run` must be running.

    Making one reads the file; raises `TokenError`. No file means that nobody is enrolled.
    """

    def __init__(self, path: Path) -> None:
        self.tokens = Tokens()
        self._path = path
        self._stamp = _stamp(path)
        self.tokens.use(read_tokens(path))

    async def run(self) -> NoReturn:
        """Look until cancelled. A file that cannot be read is logged, and changes nothing."""
        while True:
            await trio.sleep(LOOK_S)
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                await self._read()

    async def _read(self) -> None:
        try:
            enrolments = await trio.to_thread.run_sync(
                read_tokens, self._path, abandon_on_cancel=True
            )
        except TokenError as error:
            log.error("tokens not read", reason=str(error))
        else:
            self.tokens.use(enrolments)
            log.info("tokens read", devices=len(enrolments))


def _stamp(path: Path) -> Stamp:
    """What differs when the file has been replaced or written to."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
