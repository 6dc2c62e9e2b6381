"""A folder of sound files made into clips, in worker threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import trio

from audio_server.clips.cache import Cache, content_key
from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipError
from audio_server.clips.folder import clip_files
from audio_server.clips.prepared import Prepared

__all__ = ["ClipError", "Progress", "load_clips"]

Progress = Callable[[int, int], None]
"""Called with how many files are done and how many there are, first with none done."""


async def load_clips(folder: Path, *, cache: Path, progress: Progress | None = None) -> list[Clip]:
    """The clips of `folder`; its index in the list is the mode of a clip.

    What was prepared once is read from the folder `cache`; the rest is passed through or
    transcoded in as many threads as there are cores, and stored there. Raises `ClipError`
    for the first file, in order, that is no clip. A cancel stops the work within a packet;
    what was finished stays cached.
    """
    files = await trio.to_thread.run_sync(clip_files, folder)
    work = _Work(files, Cache(cache), progress or (lambda done, total: None))
    return await work.run()


class _Work:
    """The files that are being prepared, and what has become of each so far."""

    def __init__(self, files: list[Path], cache: Cache, progress: Progress) -> None:
        self._files = files
        self._cache = cache
        self._progress = progress
        self._limiter = trio.CapacityLimiter(os.cpu_count() or 1)
        self._results: dict[Path, Clip | ClipError] = {}

    async def run(self) -> list[Clip]:
        self._progress(0, len(self._files))
        async with trio.open_nursery() as nursery:
            for path in self._files:
                nursery.start_soon(self._load, path)
        return [self._clip(path) for path in self._files]

    async def _load(self, path: Path) -> None:
        # An error is kept, not raised: the others go on into the cache, and which of two
        # errors is told does not depend on which thread was first.
        try:
            self._results[path] = await trio.to_thread.run_sync(
                _load_clip, path, self._cache, limiter=self._limiter
            )
        except ClipError as error:
            self._results[path] = error
        self._progress(len(self._results), len(self._files))

    def _clip(self, path: Path) -> Clip:
        result = self._results[path]
        if isinstance(result, ClipError):
            raise result
        return result


def _load_clip(path: Path, cache: Cache) -> Clip:
    prepared = _prepare(path, cache)
    return Clip.from_packets(path.stem, prepared.packets, prepared.source)


def _prepare(path: Path, cache: Cache) -> Prepared:
    try:
        with path.open("rb") as file:
            key = content_key(file)
            if file.tell() == 0:
                raise ClipError(path, "is empty")
            cached = cache.get(key)
            if cached is not None:
                return cached
            # FFmpeg is loaded only when there is something to read: a warm start is instant.
            from audio_server.clips.ingest import ingest

            prepared = ingest(path, file, checkpoint=trio.from_thread.check_cancelled)
    except OSError as error:
        raise ClipError(path, f"cannot be read ({error.strerror})") from error
    cache.put(key, prepared)
    return prepared
