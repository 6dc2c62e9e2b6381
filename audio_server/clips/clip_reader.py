"""Files made into clips, each read no more often than it must be."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import trio

from audio_server.clips.cache import Cache, content_key
from audio_server.clips.clip import Clip
from audio_server.clips.decoder import Decoder
from audio_server.clips.errors import ClipDamaged, ClipError, ClipTooLarge, NotSound
from audio_server.clips.folder import ClipFile

Identity = tuple[int, ...]
"""Device, number, size and times of a file: equal as long as nothing is written to it."""

SETTLED_NS = 2_000_000_000
"""A file that was changed less than this ago may change once more with the same times: file systems
keep them in steps of up to two seconds (FAT)."""

UNSURE_MAX_BYTES = 256 * 2**20
"""Larger files are not looked into for sound unless their names say that there is some."""

NO_CLIP = (NotSound, ClipDamaged, ClipTooLarge)
"""Errors of the file itself. All others may be gone the next time."""

_UNREADABLE = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP)
"""Errors of one file, and neither of the disk nor of this process."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A clip, the name of its file, and the key of that file's content.

    `identity` tells the file from all others as long as nothing is written to it; None where a
    change could go unnoticed.
    """

    file: str
    key: str
    clip: Clip
    identity: Identity | None = field(default=None, compare=False, repr=False)


class _Unknown(NamedTuple):
    """A file that has to be decoded; to be closed."""

    opened: BufferedReader
    status: os.stat_result
    key: str


class ClipReader:
    """Reads files of a folder. `known` are clips that were loaded before, and `no_sound` the keys
    of content in which no sound was found; more are added to it.

    Any number of threads may use it. Its methods raise `NotSound` and `ClipDamaged` for a file that
    is no clip, and `ClipError` where that cannot be found out.
    """

    def __init__(self, cache: Cache, known: Sequence[Loaded], no_sound: set[str]) -> None:
        self._cache = cache
        self._no_sound = no_sound
        self._unchanged = {one.identity: one for one in known if one.identity is not None}
        self._known = {one.key: one.clip for one in known}

    @property
    def loudness(self) -> int | None:
        """The loudness of the clips, in LUFS; None where it is that of their files."""
        return self._cache.loudness

    def look_up(self, file: ClipFile) -> Loaded | None:
        """Return the clip of a file if it is known or cached; None if it has to be decoded.
        Blocks."""
        with _named(file):
            found = self._find(file)
        if isinstance(found, Loaded):
            return found
        found.opened.close()
        return None

    async def read(self, file: ClipFile, decoder: Decoder) -> Loaded:
        """Return the clip of a file, decoded and cached if need be. A cancel stops it at once."""
        with _named(file):
            found = await trio.to_thread.run_sync(self._find, file)
            if isinstance(found, Loaded):
                return found
            with found.opened:
                clip = await self._decoded(file, found, decoder)
        return Loaded(file.name, found.key, clip, _settled(found.status))

    def _find(self, file: ClipFile) -> Loaded | _Unknown:
        """The clip of a file, or the file, opened, for which there is none."""
        same = self._unchanged.get(_identity(file.path.stat()))
        if same is not None:
            return replace(same, file=file.name, clip=same.clip.called(file.stem))
        with ExitStack() as stack:
            opened = stack.enter_context(_open(file.path))
            status = os.fstat(opened.fileno())
            _check(file, status)
            key = content_key(opened, self._cache.loudness)
            clip = self._known.get(key) or self._cached(file, key)
            if clip is None:
                stack.pop_all()
                return _Unknown(opened, status, key)
        return Loaded(file.name, key, clip.called(file.stem), _settled(status))

    def _cached(self, file: ClipFile, key: str) -> Clip | None:
        if key in self._no_sound and not file.is_sure:
            raise NotSound(file.path, "is no clip")
        encoded = self._cache.get(key)
        if encoded is None:
            return None
        return Clip.from_packets(file.stem, encoded.packets, encoded.source)

    async def _decoded(self, file: ClipFile, found: _Unknown, decoder: Decoder) -> Clip:
        try:
            encoded = await decoder.ingest(file.path, found.opened)
        except NO_CLIP:
            self._no_sound.add(found.key)
            raise
        await trio.to_thread.run_sync(self._cache.put, found.key, encoded)
        packets, source = encoded.packets, encoded.source
        return await trio.to_thread.run_sync(Clip.from_packets, file.stem, packets, source)


@contextmanager
def _named(file: ClipFile) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        if error.errno in _UNREADABLE and not file.is_sure:
            raise NotSound(file.path, reason) from error
        raise ClipError(file.path, reason) from error


def _identity(status: os.stat_result) -> Identity:
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, status.st_size, *times


def _settled(status: os.stat_result) -> Identity | None:
    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    return _identity(status) if time.time_ns() - changed_ns > SETTLED_NS else None


def _open(path: Path) -> BufferedReader:
    """Open a file, or the target of a link. A pipe that took its place is not waited for."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _check(file: ClipFile, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotSound(file.path, "is not a file")
    if status.st_size == 0:
        raise NotSound(file.path, "is empty")
    if not file.is_sure and status.st_size > UNSURE_MAX_BYTES:
        raise NotSound(file.path, f"is larger than {UNSURE_MAX_BYTES >> 20} MiB")
