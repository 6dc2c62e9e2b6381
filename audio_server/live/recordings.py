"""The folder of recordings: Ogg Opus files, each of one channel, bounded together. All blocks.

A recording is complete at any time, up to the page that is being written. After a power cut or a
kill the last whole page is made the end of the file (`mend`).
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import randrange
from typing import BinaryIO, NamedTuple

from audio_server.clips.ogg import LAST, OpusWriter, last_page
from audio_server.files.folders import NOT_SUPPORTED, OpenFolder
from audio_server.wire.audio import PACKET_MS

SUFFIX = ".opus"
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"([a-z0-9][a-z0-9._-]*)-([0-9]{8}T[0-9]{6}Z)\.opus")
_SAMPLES_A_S = 48_000

SHARE_MIN_BYTES = 64 * 1024
"""The least that a recording takes of the bound, so that a sender that comes and goes does not fill
the folder with small files."""


class NoSuchRecording(Exception):
    """There is no recording of that name."""


class FolderUnusable(Exception):
    """The folder of recordings cannot be read or changed; `str()` is the reason, in one line."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the folder of recordings cannot be used ({error.strerror or '?'})")


class Recording(NamedTuple):
    """A recording. `begun` is in seconds since 1970."""

    name: str
    channel: str
    begun: float
    seconds: float
    size_bytes: int


class _Entry(NamedTuple):
    begun: float
    name: str
    size_bytes: int


class RecordingFile:
    """A recording that is being written. Methods raise `OSError`; `close` is the caller's."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        self._writer = OpusWriter(randrange(1 << 32))
        file.write(self._writer.begin())

    @property
    def packets(self) -> int:
        """How many packets are in the file."""
        return self._writer.packets

    def write(self, packets: Sequence[bytes], *, is_end: bool = False) -> None:
        """Append packets, and return once they survive a power cut, as far as the file system can
        do that. `is_end`: they are the last ones, and there is one at least."""
        self._file.write(self._writer.pages(packets, is_end=is_end))
        self._file.flush()
        _sync(self._file)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()


class Recordings:
    """The recordings in `folder`, which is made when it is needed. All together have `max_bytes`,
    and none is kept longer than `keep_s`; the oldest go first, except those that are `running`."""

    def __init__(self, folder: Path, max_bytes: int, keep_s: float) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self.running: Collection[str] = frozenset()
        """The names of the recordings that are being written."""

    def all(self) -> list[Recording]:
        """Return all recordings, the newest first. Raises `FolderUnusable`."""
        try:
            entries = sorted(self._entries(), reverse=True)
        except OSError as error:
            raise FolderUnusable(error) from error
        return [self._recording(entry) for entry in entries]

    def open(self, name: str) -> BinaryIO:
        """Open a recording to read it. Raises `NoSuchRecording`."""
        # Without a wait: a pipe of that name would hold the thread until another program wrote.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = os.open(self.folder / _checked(name), flags)
        except OSError:
            raise NoSuchRecording from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NoSuchRecording
        return os.fdopen(fd, "rb")

    def delete(self, name: str) -> None:
        """Delete a recording. Raises `NoSuchRecording` and `FolderUnusable`."""
        path = self.folder / _checked(name)
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise NoSuchRecording
            path.unlink()
        except FileNotFoundError:
            raise NoSuchRecording from None
        except OSError as error:
            raise FolderUnusable(error) from error

    def begin(self, channel: str) -> RecordingFile:
        """Begin a recording of a channel."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        at = int(time.time())
        while True:
            name = f"{channel}-{datetime.fromtimestamp(at, UTC).strftime(_STAMP)}{SUFFIX}"
            try:
                fd = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                break
            except FileExistsError:
                at += 1
        file = os.fdopen(fd, "wb")
        try:
            with OpenFolder(self.folder) as opened:
                opened.flush()
            return RecordingFile(file, name)
        except BaseException:
            file.close()
            raise

    def has_room(self, more_bytes: int) -> bool:
        """Delete recordings that are too old, and those for which there is no room beside
        `more_bytes`; return whether there is room now."""
        entries = sorted(self._entries())
        total = sum(_share(entry.size_bytes) for entry in entries) + more_bytes
        oldest = time.time() - self._keep_s
        for begun, name, size_bytes in entries:
            if name not in self.running and (begun < oldest or total > self._max_bytes):
                with suppress(OSError):
                    (self.folder / name).unlink()
                    total -= _share(size_bytes)
        return total <= self._max_bytes

    def mend(self) -> None:
        """Make the last whole page of each recording its end. To be called before any is written;
        one that cannot be mended stays as it is, and one without sound is deleted."""
        for entry in list(self._entries()):
            with suppress(OSError):
                _mend(self.folder / entry.name, entry.size_bytes)

    def _entries(self) -> Iterator[_Entry]:
        try:
            with os.scandir(self.folder) as found:
                for one in found:
                    if (match := _NAME.fullmatch(one.name)) and one.is_file(follow_symlinks=False):
                        with suppress(ValueError, OSError):
                            yield _Entry(_begun(match[2]), one.name, one.stat().st_size)
        except FileNotFoundError:
            return

    def _recording(self, entry: _Entry) -> Recording:
        seconds = 0.0
        with suppress(OSError), (self.folder / entry.name).open("rb") as file:
            if (tail := last_page(file, entry.size_bytes)) is not None:
                seconds = max(0, tail.page.granule) / _SAMPLES_A_S
        channel = entry.name.rpartition("-")[0]
        return Recording(entry.name, channel, entry.begun, round(seconds, 2), entry.size_bytes)


def _begun(stamp: str) -> float:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp()


def _checked(name: str) -> str:
    if not (match := _NAME.fullmatch(name)):
        raise NoSuchRecording
    try:
        _begun(match[2])
    except ValueError:
        raise NoSuchRecording from None
    return name


def _share(size_bytes: int) -> int:
    """Return the part of the bound that a recording takes."""
    return max(size_bytes, SHARE_MIN_BYTES)


def _mend(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        tail = last_page(file, size)
        if tail is None or tail.page.granule <= 0:
            path.unlink()
        elif tail.stop < size or not tail.page.flags & LAST:
            file.seek(tail.start)
            file.write(tail.as_end())
            file.truncate()
            file.flush()
            _sync(file)


def _sync(file: BinaryIO) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise


def packets_of(minutes: float) -> int:
    """Return how many packets last so long."""
    return round(minutes * 60_000 / PACKET_MS)
