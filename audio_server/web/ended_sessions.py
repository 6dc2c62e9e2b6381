"""Sessions of operators that were ended by logging out, for as long as their cookies would be good.

They are kept in a file, so that a restart does not make them good again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import structlog
import trio

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder
from audio_server.files.small_file import FileMissing, read_small, text_of

SESSIONS_MAX: Final = 10_000
"""How many are remembered; past it those are forgotten that end first. An operator's browser ends
one when it logs out, so there are as many as logins in a week."""

FILE_MAX_BYTES: Final = SESSIONS_MAX * 64

log = structlog.get_logger()


class EndedSessions:
    """Names of sessions, each with the time at which its cookie ends anyway (s since 1970).

    Without a `path` they are forgotten with the process.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read the file; one that cannot be read is none, and a line of log says so. Blocks."""
        self._path = path
        self._until = _read(path, time.time()) if path is not None else {}
        self._writing = trio.Lock()

    def has(self, name: str) -> bool:
        """Whether a session has been ended."""
        return name in self._until

    async def add(self, name: str, until: int, now: float) -> None:
        """Have a session count as ended, at once; returns when that is on the disk too, or a line
        of log says that it is not."""
        self._until = {one: end for one, end in self._until.items() if end > now}
        self._until[name] = until
        while len(self._until) > SESSIONS_MAX:
            del self._until[min(self._until, key=lambda one: self._until[one])]
        if self._path is not None:
            async with self._writing:
                await trio.to_thread.run_sync(_write, self._path, dict(self._until))


def _read(path: Path, now: float) -> dict[str, int]:
    try:
        lines = text_of(read_small(path, FILE_MAX_BYTES)).splitlines()
        pairs = [line.split() for line in lines]
        return {name: int(until) for until, name in pairs if int(until) > now}
    except FileMissing:
        return {}
    except (SetupError, ValueError) as error:
        log.warning("ended sessions not read: they count again", file=str(path), reason=str(error))
        return {}


def _write(path: Path, sessions: dict[str, int]) -> None:
    text = "".join(f"{until} {name}\n" for name, until in sessions.items())
    try:
        with OpenFolder(path.parent) as folder:
            folder.write(path.name, text.encode(), mode=0o600)
    except OSError as error:
        reason = error.strerror or str(error)
        log.warning("logout not kept: it counts until a restart", file=str(path), reason=reason)
