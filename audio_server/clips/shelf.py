"""The clips of a server that runs: which there are, and how they change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import structlog
import trio

from audio_server.clips.clip import Clip
from audio_server.clips.entry import Entry, entries_of, find_entry
from audio_server.clips.errors import ClipError
from audio_server.clips.library import Loaded, Progress, load_files

Use: TypeAlias = Callable[[Sequence[Clip]], Awaitable[None]]
"""Has other clips played from now on; returns when they are."""

log = structlog.get_logger()


class Shelf:
    """The clips of `folder` as they were loaded last. Changes come one after the other."""

    def __init__(self, folder: Path, cache: Path, loaded: Sequence[Loaded]) -> None:
        self.folder = folder
        self._cache = cache
        self._loaded = loaded
        self._entries = entries_of(loaded)
        self._clips = [one.clip for one in loaded]
        self._lock = trio.Lock()
        self._use: Use = _use_nowhere

    @property
    def entries(self) -> Sequence[Entry]:
        """What is played now; the index is the mode."""
        return self._entries

    @property
    def clips(self) -> Sequence[Clip]:
        """The same, with its sound."""
        return self._clips

    def find(self, name: str) -> Entry:
        """The clip of that file, name or title. Raises `NoSuchClip`, or `ClipError` for a title
        that several have."""
        return find_entry(self._entries, name)

    def used_by(self, use: Use) -> None:
        """Have `use` called with the clips whenever they have changed."""
        self._use = use

    async def reload(self) -> None:
        """Have the clips played that are in the folder now; returns when they are.

        What is the same as before is kept. Raises `ClipError`, and then nothing has changed.
        """
        async with self._lock:
            await self._reload()

    async def reload_and_tell(self) -> None:
        """The same for whoever cannot be told: how it went is logged."""
        try:
            await self.reload()
        except ClipError as error:
            log.error("clips not reloaded", reason=str(error))
        else:
            log.info("clips reloaded", clips=len(self._clips))

    async def _reload(self) -> None:
        loaded = await load_files(self.folder, cache=self._cache, known=self._loaded)
        clips = [one.clip for one in loaded]
        await self._use(clips)
        self._loaded, self._entries, self._clips = loaded, entries_of(loaded), clips


async def open_shelf(folder: Path, cache: Path, progress: Progress | None = None) -> Shelf:
    """The shelf of a folder, loaded. Raises `ClipError`."""
    return Shelf(folder, cache, await load_files(folder, cache=cache, progress=progress))


def at_once(change: Callable[[Sequence[Clip]], None]) -> Use:
    """For clips that are played by this process: they change in one step."""

    async def use(clips: Sequence[Clip]) -> None:
        change(clips)

    return use


async def _use_nowhere(clips: Sequence[Clip]) -> None:
    """For a shelf whose clips nobody plays."""
