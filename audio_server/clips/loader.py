"""A folder of sound files made into clips, in threads and in decoder processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import trio

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.clip_reader import NO_CLIP, ClipReader, Loaded
from audio_server.clips.decoder import open_decoder
from audio_server.clips.errors import ClipError
from audio_server.clips.folder import ClipFile, look_into, no_clips
from audio_server.clips.left_out import LeftOut
from audio_server.files.home import NOWHERE

Progress = Callable[[int, int], None]
"""Called with how many files are done and how many there are, first with none done."""

PROCESSES = min(os.cpu_count() or 1, 2)
"""How many files are decoded at the same time, on however many cores: each may take memory."""

TURN_S = 0.05
"""How long a thread loads files before it says how many."""


async def load_clips(
    folder: Path, *, cache: Path | Cache, progress: Progress | None = None
) -> list[Clip]:
    """The clips of `folder` as `load_files` loads them, without where they are from."""
    return [loaded.clip for loaded in await load_files(folder, cache=cache, progress=progress)]


async def load_files(
    folder: Path,
    *,
    cache: Path | Cache,
    progress: Progress | None = None,
    known: Sequence[Loaded] = (),
    but: str = "",
    processes: int = PROCESSES,
    left_out: LeftOut | None = None,
) -> list[Loaded]:
    """Return the clips of `folder`; its index in the list is the mode of a clip.

    A file with the content of one of `known` is that clip again, by whichever name. Of the others,
    those that were encoded once are read from `cache`; the rest is passed through or transcoded in
    so many processes, and stored there.
    Raises `ClipError` for the first file, in order, that is meant as a clip and
    cannot be read, and where there is none; that of the name `but` is not read.

    Files without a suffix of sound are clips if there is sound in them. Those that are left out are
    noted in `left_out`. A cancel stops the work at once; clips that are finished stay cached.
    """
    found = await trio.to_thread.run_sync(look_into, folder)
    files = [file for file in found.files if file.name != but]
    cache = cache if isinstance(cache, Cache) else Cache(cache)
    left_out = LeftOut() if left_out is None else left_out
    reader = ClipReader(cache, known, left_out.no_sound)
    work = _Work(files, reader, progress or (lambda done, total: None))
    loaded = await work.run(processes)
    left_out.note(folder, found.left_out | work.left_out)
    if not loaded and not but:
        raise no_clips(folder)
    await trio.to_thread.run_sync(cache.trim, {one.key for one in (*loaded, *known)})
    return loaded


async def find_left_out(folder: Path) -> Collection[str]:
    """Return the files of a folder that may be clips by their names, and hold no sound. Nothing is
    read where all names have a known suffix. A folder that cannot be read has none."""
    try:
        found = await trio.to_thread.run_sync(look_into, folder)
    except ClipError:
        return ()
    unsure = [file for file in found.files if not file.is_sure]
    work = _Work(unsure, ClipReader(Cache(NOWHERE), (), set()), lambda done, total: None)
    await work.run(PROCESSES)
    return work.left_out


class _Work:
    """The files that are being loaded, and the result of each so far."""

    def __init__(self, files: list[ClipFile], reader: ClipReader, progress: Progress) -> None:
        self._files = files
        self._reader = reader
        self._progress = progress
        self._results: dict[ClipFile, Loaded | ClipError] = {}
        self._told = 0

    async def run(self, processes: int) -> list[Loaded]:
        self._progress(0, len(self._files))
        # To go to a thread and back for each of thousands would take longer than to load them.
        todo = iter(self._files)
        while await trio.to_thread.run_sync(self._look_up_some, todo):
            self._tell()
        self._tell()
        rest = [file for file in self._files if file not in self._results]
        todo = iter(rest)
        async with trio.open_nursery() as nursery:
            for _ in range(min(processes, len(rest))):
                nursery.start_soon(self._read_all, todo)
        return [result for file in self._files if (result := self._result(file))]

    def _look_up_some(self, todo: Iterator[ClipFile]) -> bool:
        """Load files that need no decoding, for a while; return whether there may be more."""
        until = time.monotonic() + TURN_S
        for file in todo:
            trio.from_thread.check_cancelled()
            try:
                loaded = self._reader.look_up(file)
            except ClipError as error:
                self._results[file] = error
            else:
                if loaded is not None:
                    self._results[file] = loaded
            if time.monotonic() > until:
                return True
        return False

    async def _read_all(self, todo: Iterator[ClipFile]) -> None:
        """Load one file after the other; several tasks share `todo`."""
        async with open_decoder(self._reader.loudness) as decoder:
            for file in todo:
                # An error is kept, not raised: the others go on into the cache, and which of two
                # errors is told does not depend on which process was first.
                try:
                    self._results[file] = await self._reader.read(file, decoder)
                except ClipError as error:
                    self._results[file] = error
                self._tell()

    def _tell(self) -> None:
        for done in range(self._told + 1, len(self._results) + 1):
            self._told = done
            self._progress(done, len(self._files))

    def _result(self, file: ClipFile) -> Loaded | None:
        result = self._results[file]
        if isinstance(result, Loaded):
            return result
        if file.is_sure or not isinstance(result, NO_CLIP):
            raise result
        return None

    @property
    def left_out(self) -> dict[str, str]:
        """Files that turned out to be no clips, and need not be, each with the reason."""
        return {
            file.name: result.reason.partition(" (")[0]
            for file, result in self._results.items()
            if isinstance(result, NO_CLIP) and not file.is_sure
        }
