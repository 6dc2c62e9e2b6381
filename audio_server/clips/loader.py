"""A folder of sound files made into clips, in worker threads."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import trio

from audio_server.clips.cache import Cache, content_key
from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipError, NotSound
from audio_server.clips.folder import ClipFile, look_into, no_clips
from audio_server.clips.left_out import LeftOut

__all__ = ["ClipError", "Loaded", "Progress", "find_left_out", "load_clips", "load_files"]

Progress = Callable[[int, int], None]
"""Called with how many files are done and how many there are, first with none done."""

Identity = tuple[int, ...]
"""Device, number, size and times of a file: equal as long as nothing is written to it."""

SETTLED_NS = 2_000_000_000
"""A file that was changed less than this ago may change once more with the same times: file systems
keep them in steps of up to two seconds (FAT)."""

UNSURE_MAX_BYTES = 256 * 2**20
"""Larger files are not looked into for sound unless their names say that there is some."""

TURN_S = 0.05
"""How long a thread loads files before it says how many."""

NO_SOUND = "no sound"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A clip, the name of its file, and the key of what was in that.

    `identity` tells a file that still holds that, by whatever name; None where it cannot be told.
    """

    file: str
    key: str
    clip: Clip
    identity: Identity | None = field(default=None, compare=False, repr=False)


async def load_clips(folder: Path, *, cache: Path, progress: Progress | None = None) -> list[Clip]:
    """The clips of `folder` as `load_files` loads them, without where they are from."""
    return [loaded.clip for loaded in await load_files(folder, cache=cache, progress=progress)]


async def load_files(
    folder: Path,
    *,
    cache: Path | Cache,
    progress: Progress | None = None,
    known: Sequence[Loaded] = (),
    but: str = "",
    threads: int | None = None,
    left_out: LeftOut | None = None,
) -> list[Loaded]:
    """Return the clips of `folder`; its index in the list is the mode of a clip.

    A file that holds what one of `known` held is that clip again, whatever it is called now. Of
    the rest what was prepared once is read from `cache`; the others are passed through or
    transcoded in so many threads, by default as there are cores, and stored there. Raises
    `ClipError` for the first file, in order, that is meant as a clip and cannot be read, and where
    there is none; that of the name `but` is not read.

    Files without a suffix of sound are clips if there is sound in them. What is left out is noted
    in `left_out`. A cancel stops the work within a packet; what was finished stays cached.
    """
    found = await trio.to_thread.run_sync(look_into, folder)
    files = [file for file in found.files if file.name != but]
    left_out = LeftOut() if left_out is None else left_out
    progress = progress or (lambda done, total: None)
    work = _Work(files, _cache(cache), progress, known, left_out.no_sound)
    loaded = await work.run(threads or os.cpu_count() or 1)
    left_out.note(folder, found.left_out | work.left_out)
    if not loaded and not but:
        raise no_clips(folder)
    return loaded


async def find_left_out(folder: Path) -> Collection[str]:
    """Return the files of a folder that may be clips by their names, and hold no sound. Nothing is
    read where all names say what files are. A folder that cannot be read has none."""
    try:
        found = await trio.to_thread.run_sync(look_into, folder)
    except ClipError:
        return ()
    unsure = [file for file in found.files if not file.is_sure]
    with TemporaryDirectory() as nowhere:
        work = _Work(unsure, Cache(Path(nowhere)), lambda done, total: None, (), set())
        await work.run(os.cpu_count() or 1)
    return work.left_out


def _cache(cache: Path | Cache) -> Cache:
    return cache if isinstance(cache, Cache) else Cache(cache)


class _Work:
    """The files that are being prepared, and what has become of each so far."""

    def __init__(
        self,
        files: list[ClipFile],
        cache: Cache,
        progress: Progress,
        known: Sequence[Loaded],
        no_sound: set[str],
    ) -> None:
        self._files = files
        self._cache = cache
        self._progress = progress
        self._known = _Known(known)
        self._no_sound = no_sound
        self._results: dict[ClipFile, Loaded | ClipError] = {}
        self._told = 0

    async def run(self, threads: int) -> list[Loaded]:
        self._progress(0, len(self._files))
        todo = iter(self._files)
        async with trio.open_nursery() as nursery:
            for _ in range(min(threads, len(self._files))):
                nursery.start_soon(self._load_all, todo, trio.CapacityLimiter(1))
        return [result for file in self._files if (result := self._result(file))]

    async def _load_all(self, todo: Iterator[ClipFile], limiter: trio.CapacityLimiter) -> None:
        is_over = False
        while not is_over:
            is_over = await trio.to_thread.run_sync(self._load_some, todo, limiter=limiter)
            for done in range(self._told + 1, len(self._results) + 1):
                self._told = done
                self._progress(done, len(self._files))

    def _load_some(self, todo: Iterator[ClipFile]) -> bool:
        """Load files for a while, in a thread; return whether there are no more. To go to a thread
        and back for each of thousands would take longer than to load them."""
        until = time.monotonic() + TURN_S
        for file in todo:
            trio.from_thread.check_cancelled()
            # An error is kept, not raised: the others go on into the cache, and which of two
            # errors is told does not depend on which thread was first.
            try:
                self._results[file] = _load(file, self._cache, self._known, self._no_sound)
            except ClipError as error:
                self._results[file] = error
            if time.monotonic() > until:
                return False
        return True

    def _result(self, file: ClipFile) -> Loaded | None:
        result = self._results[file]
        if isinstance(result, Loaded):
            return result
        if file.is_sure:
            raise result
        return None

    @property
    def left_out(self) -> dict[str, str]:
        """Files that turned out to be no clips, each with the reason."""
        results = self._results.items()
        return {file.name: NO_SOUND for file, result in results if isinstance(result, ClipError)}


class _Known:
    """Clips that were loaded before."""

    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self._loaded = {one.identity: one for one in loaded if one.identity is not None}
        self.clips = {one.key: one.clip for one in loaded}

    def still(self, file: ClipFile) -> Loaded | None:
        """Return what was loaded from a file, by whatever name, if it has not changed since."""
        same = self._loaded.get(_identity(file.path.stat()))
        return same and replace(same, file=file.name, clip=same.clip.called(file.stem))


def _load(file: ClipFile, cache: Cache, known: _Known, no_sound: set[str]) -> Loaded:
    try:
        if (same := known.still(file)) is not None:
            return same
        with _open(file.path) as opened:
            status = os.fstat(opened.fileno())
            _check_size(file, status)
            key = content_key(opened)
            clip = known.clips.get(key) or _clip(file, opened, key, cache, no_sound)
    except OSError as error:
        raise ClipError(file.path, f"cannot be read ({error.strerror})") from error
    return Loaded(file.name, key, clip.called(file.stem), _settled(status))


def _identity(status: os.stat_result) -> Identity:
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, status.st_size, *times


def _settled(status: os.stat_result) -> Identity | None:
    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    return _identity(status) if time.time_ns() - changed_ns > SETTLED_NS else None


def _open(path: Path) -> BufferedReader:
    """Open a file, or what a link leads to. What is no file any more is not waited for."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _check_size(file: ClipFile, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ClipError(file.path, "is not a file")
    if status.st_size == 0:
        raise NotSound(file.path, "is empty")
    if not file.is_sure and status.st_size > UNSURE_MAX_BYTES:
        raise NotSound(file.path, f"is larger than {UNSURE_MAX_BYTES >> 20} MiB")


def _clip(file: ClipFile, opened: BinaryIO, key: str, cache: Cache, no_sound: set[str]) -> Clip:
    encoded = cache.get(key)
    if encoded is None:
        if key in no_sound and not file.is_sure:
            raise NotSound(file.path, "holds no sound")
        # FFmpeg is loaded only when there is something to read: a warm start is instant.
        from audio_server.clips.ingest import ingest

        try:
            encoded = ingest(file.path, opened, checkpoint=trio.from_thread.check_cancelled)
        except ClipError:
            no_sound.add(key)
            raise
        cache.put(key, encoded)
    return Clip.from_packets(file.stem, encoded.packets, encoded.source)
