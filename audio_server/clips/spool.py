"""A sound file that comes in pieces, kept on disk until it is whole. Everything here blocks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Self, cast

from audio_server.clips.errors import ClipError, ClipTooLarge


class Spool:
    """A file without a name, so that nothing is left behind; `name` is its name in errors."""

    def __init__(self, name: str, max_bytes: int, folder: Path | None = None) -> None:
        """Make the file, in `folder` or where temporary files are. Raises `OSError`."""
        self.file = cast(BinaryIO, TemporaryFile(dir=folder))  # noqa: SIM115 - closed by `with`
        self.size = 0
        self._name = name
        self._max_bytes = max_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of the rest that a full disk does not take
            self.file.close()

    def write(self, data: bytes) -> None:
        """Add a piece. Raises `ClipTooLarge`, and `ClipError` where it cannot be kept."""
        self.size += len(data)
        if self.size > self._max_bytes:
            raise ClipTooLarge(self._name, f"is larger than {self._max_bytes / 2**20:g} MiB")
        self._keep(lambda: self.file.write(data))

    def flush(self) -> None:
        """Write the rest. Raises `ClipError`."""
        self._keep(self.file.flush)

    def _keep(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            raise ClipError(self._name, f"cannot be kept ({error.strerror})") from error
