"""The clips of groups as repositories: listed, and changed through the API.

A group without a folder of its own has the clips of the fleet. The first change gives it a folder
in the data folder, with copies of them, so that no mode vanishes that nobody removed; the fleet's
folder, which may be the shipped one, is never written to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Protocol
from weakref import WeakValueDictionary

import trio

from audio_server.clips.clip_reader import Loaded
from audio_server.clips.errors import ClipError, ClipsFixed
from audio_server.clips.folder import why_fixed
from audio_server.clips.own_folder import make_own
from audio_server.clips.repository import Repository
from audio_server.files.home import expanded

FOLDER = "groups"
"""In the data folder: a folder for each group that got one by a change of its clips."""

NO_DATA = "there is no data folder; name one with --data FOLDER, or a folder for the group"

RECENT = 8
"""Repositories that are kept though no request works on them: pages ask for many waveforms."""

FOLDERS_MAX = 1000
"""Of one group: each time that its settings were deleted, and its clips changed again."""


class Owner(Protocol):
    """The groups, as repositories of their clips see them."""

    def folder_of(self, name: str) -> str | None:
        """Return the folder of a group, as the settings have it; None where it has none."""

    def folder_of_device(self, device_id: str) -> str | None:
        """Return the folder of a device; None where it has the fleet's."""

    def why_no_folder(self, name: str) -> str | None:
        """Why a group cannot get a folder by a change of its clips; None where it can."""

    def loaded_in(self, path: str) -> Sequence[Loaded]:
        """Return the clips of a folder that are in force; none where it is left out."""

    async def take_clips(self, folder: Path, loaded: Sequence[Loaded], name: str | None) -> None:
        """Have these clips of a folder in force, which the group of that name has from now on."""


class GroupRepositories:
    """One repository for each folder; its changes share the bounds of the fleet's uploads."""

    def __init__(self, owner: Owner, fleet: Repository, data: Path | None) -> None:
        self._owner = owner
        self._fleet = fleet
        self._base = None if data is None else data / FOLDER
        # While a request works on one, others find it; clips that were replaced are not kept.
        self._by_folder: WeakValueDictionary[Path, Repository] = WeakValueDictionary()
        self._without: WeakValueDictionary[str, Repository] = WeakValueDictionary()
        self._recent: deque[Repository] = deque(maxlen=RECENT)

    async def of_group(self, name: str) -> Repository:
        """Return the clips of a group, which are those of the fleet until it has a folder."""
        path = self._owner.folder_of(name)
        if path is not None:
            self._without.pop(name, None)
            return await self._in(path)
        return await self._new(name)

    async def of_device(self, device_id: str) -> Repository:
        """Return the clips of a device, connected or not."""
        path = self._owner.folder_of_device(device_id)
        return self._fleet if path is None else await self._in(path)

    async def _in(self, path: str) -> Repository:
        folder = await trio.to_thread.run_sync(resolved_of, path)
        if (found := self._by_folder.get(folder)) is None:
            made = FolderRepository(self._owner, self._fleet, expanded(path))
            found = self._by_folder.setdefault(folder, made)
        return await self._prepared(found, self._owner.loaded_in(path))

    async def _prepared(self, found: Repository, loaded: Sequence[Loaded]) -> Repository:
        """Return a repository with the clips that are in force; it is kept for a while."""
        if found not in self._recent:
            self._recent.append(found)
        await found.refresh(loaded)
        await found.look()
        return found

    async def _new(self, name: str) -> Repository:
        if (found := self._without.get(name)) is None:
            found = _NewRepository(self._owner, self._fleet, name, self._base, self._making)
            self._without[name] = found
        return await self._prepared(found, self._fleet.loaded)

    @asynccontextmanager
    async def _making(self, name: str, made: Repository) -> AsyncIterator[None]:
        """Have a repository be that of its new folder, no more that of a group without one. The
        folder is removed if the group has not got it in the block."""
        folder = await trio.to_thread.run_sync(resolved_of, str(made.folder))
        self._by_folder[folder] = made  # before a request can find the folder
        try:
            yield
        finally:
            if made.is_own:
                self._without.pop(name, None)
            else:
                del self._by_folder[folder]
                self._without[name], made.folder = made, self._fleet.folder
                await trio.to_thread.run_sync(partial(rmtree, folder, ignore_errors=True))


class FolderRepository(Repository):
    """The clips of a folder of groups."""

    def __init__(self, owner: Owner, fleet: Repository, folder: Path) -> None:
        super().__init__(folder, fleet.cache, [], beside=fleet)
        self._owner = owner
        self._fleet = fleet
        self.share(lambda: fleet.in_use)

    async def look(self) -> None:
        """Find out whether anything can be changed here."""
        self.fixed_because = await trio.to_thread.run_sync(self._why_fixed)

    def _why_fixed(self) -> str | None:
        if not self.folder.is_dir():
            return "the folder of the group is not there"
        if self.folder.resolve() == self._fleet.folder.resolve():
            return "this is the folder of all devices; change its clips there, or name another one"
        return why_fixed(self.folder)

    async def _show(self, loaded: Sequence[Loaded]) -> None:
        await self._owner.take_clips(self.folder, loaded, None)
        await self.refresh(loaded)


class _NewRepository(FolderRepository):
    """The clips of a group without a folder; `base` is where it gets one, in a block of `making`:
    from then on this is the repository of the folder."""

    def __init__(
        self,
        owner: Owner,
        fleet: Repository,
        name: str,
        base: Path | None,
        making: Callable[[str, Repository], AbstractAsyncContextManager[None]],
    ) -> None:
        super().__init__(owner, fleet, fleet.folder)
        self._name: str | None = name
        self._base = base
        self._making = making

    @property
    def is_own(self) -> bool:
        """Whether the group has its folder."""
        return self._name is None

    async def reload(self) -> None:
        """Read the folder again, if there is one."""
        if self._name is None:
            await super().reload()

    def _why_fixed(self) -> str | None:
        if self._name is None:
            return super()._why_fixed()
        return NO_DATA if self._base is None else self._owner.why_no_folder(self._name)

    async def _room(self) -> Path | None:
        """Return the folder where a file is kept that comes: the group gets none for a file that
        is no clip."""
        await self._check_changeable()
        return self.folder if self._name is None else None

    async def _check_changeable(self) -> None:
        await self.look()
        if self.fixed_because is not None:
            raise ClipsFixed(self._name or self.folder, self.fixed_because)

    async def _check_free(self) -> None:
        """Make the folder, which holds the clips that the devices have already."""
        await self._check_changeable()
        if (name := self._name) is None:
            return
        assert self._base is not None
        folder = await trio.to_thread.run_sync(_make, self._base, name, self._fleet.folder)
        with trio.CancelScope(shield=True):  # or the folder would be left without its group
            self.folder = folder
            async with self._making(name, self):
                loaded = await self._load()
                try:
                    await self._owner.take_clips(folder, loaded, name)
                finally:
                    if self._owner.folder_of(name) == str(folder):
                        self._name = None
            await self.refresh(loaded)


def _make(base: Path, name: str, shipped: Path) -> Path:
    """Make a folder for a group. One that is there already is of an earlier time. Raises
    `ClipError`."""
    names = (f"{name}-{number}" if number > 1 else name for number in range(1, FOLDERS_MAX + 1))
    folder = next((base / one for one in names if not (base / one).exists()), None)
    if folder is None:
        raise ClipError(base, f"has {FOLDERS_MAX} folders of {name}; remove some")
    make_own(folder, shipped)
    return folder


def resolved_of(path: str) -> Path:
    """Return the folder that a path of the settings means. Blocks."""
    try:
        return expanded(path).resolve()
    except (OSError, RuntimeError):  # links that lead to themselves
        return expanded(path)
