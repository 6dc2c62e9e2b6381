"""Whether files have changed since they were last looked at."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import trio

Stamp = tuple[int, ...] | None


class FileWatch:
    """Remembers how the files looked. Making one looks for the first time, and blocks."""

    def __init__(self, paths: Collection[Path]) -> None:
        self._paths = paths
        self._stamps = _stamps(paths)

    async def has_changed(self) -> bool:
        """Look again; True if a file was written to, replaced, removed or made since.

        Off the loop: a disk that hangs holds up the caller alone.
        """
        stamps = await trio.to_thread.run_sync(_stamps, self._paths, abandon_on_cancel=True)
        before, self._stamps = self._stamps, stamps
        return stamps != before


def _stamps(paths: Collection[Path]) -> list[Stamp]:
    return [_stamp(path) for path in paths]


def _stamp(path: Path) -> Stamp:
    # Times alone would miss a file that was copied with its times, or twice within one tick.
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, status.st_size, *times
