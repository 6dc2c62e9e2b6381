"""Tokens as they are now: the file of them is read again whenever it has changed."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import structlog
import trio

from audio_server.identity.authenticator import Tokens
from audio_server.identity.file_watch import FileWatch
from audio_server.identity.tokens import TokenError, read_tokens

LOOK_S = 1.0
"""How often it is seen whether the file has changed; a revoked device is dropped within that."""

log = structlog.get_logger()


class TokenReloader:
    """Keeps `tokens` equal to the file `path`. `run` must be running.

    Making one reads the file; raises `TokenError`. A missing file means that no device is enrolled.
    """

    def __init__(self, path: Path) -> None:
        self.tokens = Tokens()
        self._path = path
        self._watch = FileWatch([path])
        self.tokens.use(read_tokens(path))

    async def run(self) -> NoReturn:
        """Look until cancelled. A file that cannot be read is logged, and changes nothing."""
        while True:
            await trio.sleep(LOOK_S)
            if await self._watch.has_changed():
                await self._read()

    async def _read(self) -> None:
        try:
            enrolments = await trio.to_thread.run_sync(
                read_tokens, self._path, abandon_on_cancel=True
            )
        except TokenError as error:
            remedy = "those that were read before stay valid until the file is right"
            log.error("tokens not read", reason=str(error), remedy=remedy)
        else:
            self.tokens.use(enrolments)
            log.info("tokens read", devices=len(enrolments))
