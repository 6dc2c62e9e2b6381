"""A folder of sound files made into clips, in worker threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import trio

from audio_server.clips.cache import Cache, content_key
from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipError, NotSound
from audio_server.clips.folder import ClipFile, clip_files

__all__ = ["ClipError", "Loaded", "Progress", "load_clips", "load_files"]

Progress = Callable[[int, int], None]
"""Called with how many files are done and how many there are, first with none done."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A clip, the name of its file, and the key of what was in that."""

    file: str
    key: str
    clip: Clip


async def load_clips(folder: Path, *, cache: Path, progress: Progress | None = None) -> list[Clip]:
    """The clips of `folder` as `load_files` loads them, without where they are from."""
    return [loaded.clip for loaded in await load_files(folder, cache=cache, progress=progress)]


async def load_files(
    folder: Path,
    *,
    cache: Path,
    progress: Progress | None = None,
    known: Iterable[Loaded] = (),
    but: str = "",
    threads: int | None = None,
) -> list[Loaded]:
    """The clips of `folder`; its index in the list is the mode of a clip.

    A file that holds what one of `known` held is that clip again, whatever it is called now. Of
    the rest what was prepared once is read from the folder `cache`; the others are passed through
    or transcoded in so many threads, by default as there are cores, and stored there. Raises
    `ClipError` for the first file, in order, that is no clip; that of the name `but` is left out.
    A cancel stops the work within a packet; what was finished stays cached.
    """
    found = await trio.to_thread.run_sync(clip_files, folder)
    files = [file for file in found if file.name != but]
    work = _Work(files, Cache(cache), progress or (lambda done, total: None), known)
    return await work.run(threads or os.cpu_count() or 1)


class _Work:
    """The files that are being prepared, and what has become of each so far."""

    def __init__(
        self, files: list[ClipFile], cache: Cache, progress: Progress, known: Iterable[Loaded]
    ) -> None:
        self._files = files
        self._cache = cache
        self._progress = progress
        self._known = {loaded.key: loaded.clip for loaded in known}
        self._results: dict[ClipFile, Loaded | ClipError] = {}

    async def run(self, threads: int) -> list[Loaded]:
        limiter = trio.CapacityLimiter(threads)
        self._progress(0, len(self._files))
        async with trio.open_nursery() as nursery:
            for file in self._files:
                nursery.start_soon(self._load, file, limiter)
        return [self._result(file) for file in self._files]

    async def _load(self, file: ClipFile, limiter: trio.CapacityLimiter) -> None:
        # An error is kept, not raised: the others go on into the cache, and which of two
        # errors is told does not depend on which thread was first.
        try:
            self._results[file] = await trio.to_thread.run_sync(
                _load, file, self._cache, self._known, limiter=limiter
            )
        except ClipError as error:
            self._results[file] = error
        self._progress(len(self._results), len(self._files))

    def _result(self, file: ClipFile) -> Loaded:
        result = self._results[file]
        if isinstance(result, ClipError):
            raise result
        return result


def _load(clip_file: ClipFile, cache: Cache, known: Mapping[str, Clip]) -> Loaded:
    name, path = clip_file
    try:
        with path.open("rb") as file:
            key = content_key(file)
            if file.tell() == 0:
                raise NotSound(path, "is empty")
            clip = known.get(key) or _clip(clip_file, file, key, cache)
    except OSError as error:
        raise ClipError(path, f"cannot be read ({error.strerror})") from error
    return Loaded(name, key, clip.called(clip_file.stem))


def _clip(clip_file: ClipFile, file: BinaryIO, key: str, cache: Cache) -> Clip:
    prepared = cache.get(key)
    if prepared is None:
        # FFmpeg is loaded only when there is something to read: a warm start is instant.
        from audio_server.clips.ingest import ingest

        prepared = ingest(clip_file.path, file, checkpoint=trio.from_thread.check_cancelled)
        cache.put(key, prepared)
    return Clip.from_packets(clip_file.stem, prepared.packets, prepared.source)
