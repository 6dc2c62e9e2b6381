"""The clips of groups, read from folders of their own. Sound that several folders have is in memory
once, by its content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.loader import load_files
from audio_server.files.home import expanded


class Folders:
    """The clips of each folder, by its path as the settings have it. `shared` are the clips that
    others have loaded already."""

    def __init__(self, cache: Cache, shared: Callable[[], Sequence[Loaded]] = lambda: ()) -> None:
        self._cache = cache
        self._shared = shared
        self._loaded: Mapping[str, Sequence[Loaded]] = {}
        self.clips: Mapping[str, Sequence[Clip]] = {}
        """The clips of each folder that is in force; another object after each change."""

    @property
    def loaded(self) -> Sequence[Loaded]:
        """All clips of all folders."""
        return [one for folder in self._loaded.values() for one in folder]

    async def read(self, paths: Collection[str]) -> Mapping[str, Sequence[Loaded]]:
        """Read folders, for `use`. Raises `ClipError` for the first that has no clips or a bad
        one, and then nothing has changed."""
        found: dict[str, Sequence[Loaded]] = {}
        for path in paths:
            known = [*self._shared(), *self.loaded, *(one for own in found.values() for one in own)]
            folder: Path = expanded(path)
            # One process: sound that plays comes first.
            found[path] = await load_files(folder, cache=self._cache, known=known, processes=1)
        return found

    def in_force(self, paths: Collection[str]) -> Mapping[str, Sequence[Loaded]]:
        """Return those of these folders that are in force."""
        return {path: self._loaded[path] for path in paths if path in self._loaded}

    def use(self, found: Mapping[str, Sequence[Loaded]]) -> None:
        """Have these folders in force, and no others."""
        self._loaded = found
        self.clips = {path: [one.clip for one in loaded] for path, loaded in found.items()}
