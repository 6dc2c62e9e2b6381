"""The groups of a server that have settings of their own, and their changes.

A group is a tag. Groups of the settings file are changed there, and read again on SIGHUP; others
are made and changed through the API, and are kept in the data folder. Each change is whole or not
made: clips are read first, and then devices take their profiles.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
import trio
from msgspec import structs

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.errors import ClipError
from audio_server.clips.naming import mode_called
from audio_server.clips.repository import Repository
from audio_server.errors import SetupError
from audio_server.files.home import NOWHERE, expanded
from audio_server.groups.folders import Folders
from audio_server.groups.interface import FolderClips, GroupRefused, Tags, Takers
from audio_server.groups.kept import KeptGroups
from audio_server.groups.overrides import (
    NONE,
    Overrides,
    Tables,
    overrides_of,
    shortest_lead_s,
)
from audio_server.groups.repositories import GroupRepositories, resolved_of
from audio_server.groups.tables import (
    GROUPS_MAX,
    merged,
    paths_of,
    read_tables,
    tables_by_path,
)

TOO_MANY = f"at most {GROUPS_MAX} groups have settings; remove one"

log = structlog.get_logger()


class Groups:
    """The settings of groups and of single devices. `config` is the settings file, if there is one,
    and `roots` are the folders in which the clips of a group of the API may lie. `repositories` are
    the clips of groups beside those of the `fleet`; in the `data` folder they get folders.

    Changes come one after the other. A cancel leaves the groups as they were, or changes them.
    """

    def __init__(
        self,
        tags: Tags,
        folders: Folders,
        *,
        config: Path | None = None,
        kept: KeptGroups | None = None,
        roots: Callable[[], Sequence[Path]] = lambda: (),
        fleet: Repository | None = None,
        data: Path | None = None,
    ) -> None:
        self._tags = tags
        self._folders = folders
        self._config = config
        self._kept_in = kept or KeptGroups(None)
        self._roots = roots
        self._in_file = Tables()
        self._kept: Mapping[str, Overrides] = {}
        self._tables = Tables()
        self._takers = Takers()
        self._change = trio.Lock()
        self.repositories = GroupRepositories(self, fleet or _no_clips(), data)

    # -- queries

    def of(self, device_id: str) -> Overrides:
        """Return the settings of a device besides those of the fleet."""
        tables = self._tables
        if not (tables.groups or tables.devices):
            return NONE
        return overrides_of(tables, device_id, self._tags.tags_of(device_id))

    def members(self) -> dict[str, Overrides]:
        """Return the settings of each device that has some, connected or not."""
        ids = dict.fromkeys(self._tables.devices)
        for tag in self._tables.groups:
            ids |= dict.fromkeys(self._tags.tagged(tag))
        found = {device_id: self.of(device_id) for device_id in ids}
        return {device_id: own for device_id, own in found.items() if own != NONE}

    @property
    def all(self) -> Mapping[str, Overrides]:
        """The settings of each group that has some, in the order in which they count."""
        return dict(sorted(self._tables.groups.items()))

    def is_in_file(self, name: str) -> bool:
        """Whether a group is one of the settings file."""
        return name in self._in_file.groups

    def shortest_lead_s(self, fleet_ms: int) -> float:
        """Return the shortest lead of a device, in seconds, where the fleet's is `fleet_ms`."""
        own = (*self._tables.groups.values(), *self._tables.devices.values())
        return shortest_lead_s(fleet_ms, own)

    @property
    def clips(self) -> Mapping[str, Sequence[Clip]]:
        """The clips of each folder that is in force."""
        return self._folders.clips

    def clips_of(self, device_id: str) -> Sequence[Clip] | None:
        """Return the clips of a device; None where they are the fleet's."""
        return self.clips_in(self.of(device_id))

    def clips_in(self, overrides: Overrides) -> Sequence[Clip] | None:
        """Return the clips of settings; None where they are the fleet's."""
        return None if overrides.clips is None else self._folders.clips.get(overrides.clips)

    def folder_of(self, name: str) -> str | None:
        """Return the folder of a group, as the settings have it."""
        return self._tables.groups.get(name, NONE).clips

    def folder_of_device(self, device_id: str) -> str | None:
        """Return the folder of a device; None where it has the clips of the fleet."""
        path = self.of(device_id).clips
        return path if path in self._folders.clips else None

    def why_no_folder(self, name: str) -> str | None:
        """Why a group cannot get a folder of its own; None where it can."""
        if self.is_in_file(name):
            return f"[groups.{name}] in {self._config} names no folder of clips; name one there"
        is_full = name not in self._kept and len(self._kept) >= GROUPS_MAX
        return TOO_MANY if is_full else None

    def loaded_in(self, path: str) -> Sequence[Loaded]:
        """Return the clips of a folder that is in force."""
        return self._folders.in_force([path]).get(path, ())

    def has_clip(self, name: str) -> bool:
        """Whether any folder of a group has a clip of that name or title."""
        folders = self.clips.values()
        return any(mode_called(name, [clip.name for clip in own]) is not None for own in folders)

    # -- changes

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep up with changes that come by themselves for the block; here none do."""
        yield

    def used_by(self, takers: Takers) -> None:
        """Have `takers` called whenever devices may have other profiles."""
        self._takers = takers

    async def open(self) -> None:
        """Read all for the first time. Raises `SetupError`, for a folder that the settings file
        names too; a folder that only the API named is left out, with a warning."""
        async with self._change:
            in_file = await self._read_file()
            self._kept = await trio.to_thread.run_sync(self._kept_in.read)
            tables = merged(in_file, self._kept)
            self._take(in_file, tables, await self._read_folders(in_file, tables))

    async def reload(self) -> None:
        """Read the settings file and all folders again. Raises `SetupError` as `open` does, and
        then nothing has changed: no file describes a part of its tables, and a server that starts
        with it refuses it too. Of a folder that is left out the clips from before stay."""
        async with self._change:
            in_file = await self._read_file()
            tables = merged(in_file, self._kept)
            self._take(in_file, tables, await self._read_folders(in_file, tables))
            await self._takers.take()

    async def reload_and_tell(self) -> None:
        """As `reload`, for a caller that cannot be answered: the outcome is logged."""
        if self._config is None and not self._tables.groups:
            return
        try:
            await self.reload()
        except SetupError as error:
            log.error("groups not reloaded", error=str(error))
        except Exception:
            log.exception("groups not reloaded")
        else:
            log.info("groups reloaded", groups=len(self._tables.groups))

    async def put(self, name: str, overrides: Overrides | None) -> None:
        """Have a group with these settings, in the place of all that it had; None removes them.

        Raises `GroupRefused`, and `ClipError` for a folder that cannot be used. Nothing has changed
        then.
        """
        await self._alter(name, lambda _: overrides)

    async def change(self, name: str, values: Mapping[str, Any]) -> None:
        """Change some settings of a group, by their names; None takes one away, and a group without
        any is none. Raises as `put`."""

        def changed(before: Overrides) -> Overrides | None:
            after = structs.replace(before, **values)
            return None if after == NONE else after

        await self._alter(name, changed)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """Give a block that changes the groups of the API, which are the newest."""
        async with self._change:
            yield

    async def _alter(self, name: str, change: Callable[[Overrides], Overrides | None]) -> None:
        async with self._changing():
            if self.is_in_file(name):
                raise GroupRefused(
                    f"[groups.{name}] is in {self._config}; change it there and send SIGHUP"
                )
            kept = dict(self._kept)
            overrides = change(kept.pop(name, NONE))
            if overrides is not None:
                await trio.to_thread.run_sync(self._check_folder, overrides)
                kept[name] = overrides
            if len(kept) > GROUPS_MAX:
                raise GroupRefused(TOO_MANY)
            await self._change_to(kept, overrides)

    def retag(self, device_id: str) -> None:
        """Have a device take its profile: its tags have changed."""
        if self._tables.groups:
            self._takers.retag(device_id)

    async def settle(self) -> None:
        """Return when all devices have taken their profiles after `retag`."""
        await self._takers.settle()

    async def _read_file(self) -> Tables:
        if self._config is None:
            return Tables()
        return await trio.to_thread.run_sync(read_tables, self._config)

    async def _read_folders(self, in_file: Tables, tables: Tables) -> FolderClips:
        found = dict[str, Sequence[Loaded]]()
        for path, table in tables_by_path(in_file).items():
            try:
                found |= await self._folders.read([path])
            except ClipError as error:
                raise SetupError(self._config or "", f"[{table}] clips: {error}") from error
        return {**found, **await self._read_kept(paths_of(tables) - found.keys())}

    async def _read_kept(self, paths: Collection[str]) -> FolderClips:
        """Read the folders that only the API named."""
        found = dict[str, Sequence[Loaded]]()
        for path in paths:
            try:
                found |= await self._folders.read([path])
            except ClipError as error:
                log.warning("clips of a group left out", error=str(error))
                found |= self._folders.in_force([path])
        return found

    async def _change_to(self, kept: Mapping[str, Overrides], changed: Overrides | None) -> None:
        """Read the folder that the changed group names, and no other one: it may be gone."""
        own = {changed.clips} if changed is not None and changed.clips is not None else set()
        await self._keep(kept, await self._folders.read(own - self._known()))

    def _known(self) -> Set[str]:
        """Return the folders that are not read for a change: their clips are kept elsewhere."""
        return frozenset()

    async def take_clips(self, folder: Path, loaded: Sequence[Loaded], name: str | None) -> None:
        """Have these clips of a folder in force, which the group of that name has from now on.
        Raises as `put`."""
        async with self._change if name is None else self._changing():
            kept = dict(self._kept)
            if name is not None:
                if (reason := self.why_no_folder(name)) is not None:
                    raise GroupRefused(reason)
                kept[name] = structs.replace(kept.get(name, NONE), clips=str(folder))
            paths = paths_of(merged(self._in_file, kept))
            same = await trio.to_thread.run_sync(_same, folder, paths)
            await self._keep(kept, dict.fromkeys(same, loaded))

    async def _keep(self, kept: Mapping[str, Overrides], read: FolderClips) -> None:
        """Have these groups of the API, and the folders that were read for them."""
        tables = merged(self._in_file, kept)
        paths = paths_of(tables)
        found = {**self._folders.in_force(paths), **read}
        if kept != self._kept:
            try:
                await trio.to_thread.run_sync(self._kept_in.write, kept)
            except OSError as error:
                raise GroupRefused(f"the group cannot be kept: {error.strerror}") from error
        self._kept = kept
        self._take(self._in_file, tables, found)
        await self._takers.take()

    def _take(self, in_file: Tables, tables: Tables, found: FolderClips) -> None:
        self._in_file, self._tables = in_file, tables
        self._folders.use(found)

    def _check_folder(self, overrides: Overrides) -> None:
        if overrides.clips is None or overrides.clips in paths_of(self._in_file) | self._known():
            return
        try:
            folder = expanded(overrides.clips).resolve()
        except ValueError as error:
            raise GroupRefused(f"clips: {error}") from error
        except (OSError, RuntimeError) as error:  # links that lead to themselves
            raise GroupRefused(f"clips: {overrides.clips} is no folder") from error
        roots = [root.resolve() for root in self._roots()]
        if not any(folder.is_relative_to(root) for root in roots):
            places = " or ".join(map(str, roots)) or "the settings file alone"
            raise GroupRefused(
                f"clips: {overrides.clips} is not in {places}; "
                "the settings file may name any folder"
            )


def _same(folder: Path, paths: Collection[str]) -> list[str]:
    """Return those of some paths that are one folder. Blocks."""
    resolved = folder.resolve()
    return [path for path in paths if resolved_of(path) == resolved]


def _no_clips() -> Repository:
    return Repository(NOWHERE, NOWHERE, [])


class _NoTags:
    def tags_of(self, device_id: str) -> Sequence[str]:
        return ()

    def tagged(self, tag: str) -> Sequence[str]:
        return ()


def no_groups() -> Groups:
    """Return groups of a server where no device has a tag; they are not kept."""
    return Groups(_NoTags(), Folders(Cache(NOWHERE)))
