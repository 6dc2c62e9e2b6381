"""The groups of a server that have settings of their own, and their changes.

A group is a tag. Groups of the settings file are changed there, and read again on SIGHUP; others
are made and changed through the API, and are kept in the data folder. Each change is whole or not
made: clips are read first, and then devices take their profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import structlog
import trio

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.errors import ClipError
from audio_server.clips.naming import mode_called
from audio_server.errors import SetupError
from audio_server.files.home import NOWHERE, expanded
from audio_server.groups.folders import Folders
from audio_server.groups.kept import KeptGroups
from audio_server.groups.overrides import (
    NONE,
    Overrides,
    Tables,
    overrides_of,
    shortest_lead_s,
)
from audio_server.groups.tables import DEVICES, GROUPS, GROUPS_MAX, read_tables

FolderClips: TypeAlias = Mapping[str, Sequence[Loaded]]
"""The clips of folders, by the paths as settings have them."""

log = structlog.get_logger()


class Takers:
    """The devices that take their profiles from groups; these are none."""

    async def take(self) -> None:
        """Have all devices take their profiles; return when they have."""

    def retag(self, device_id: str) -> None:
        """Have a device take its profile: its tags are others. Must return at once."""

    async def settle(self) -> None:
        """Return when all devices have taken their profiles after `retag`."""


class GroupRefused(Exception):
    """A change of a group is refused; `str()` is the reason with the remedy, in one line."""


class Tags(Protocol):
    """The tags of all devices, connected or not."""

    def tags_of(self, device_id: str) -> Sequence[str]:
        """Return the tags of a device."""

    def tagged(self, tag: str) -> Sequence[str]:
        """Return the devices that have a tag."""


class Groups:
    """The settings of groups and of single devices. `config` is the settings file, if there is one,
    and `roots` are the folders in which the clips of a group of the API may lie.

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

    def has_clip(self, name: str) -> bool:
        """Whether any folder of a group has a clip of that name or title."""
        folders = self.clips.values()
        return any(mode_called(name, [clip.name for clip in own]) is not None for own in folders)

    # -- changes

    def used_by(self, takers: Takers) -> None:
        """Have `takers` called whenever devices may have other profiles."""
        self._takers = takers

    async def open(self) -> None:
        """Read all for the first time. Raises `SetupError`, for a folder that the settings file
        names too; a folder that only the API named is left out, with a warning."""
        async with self._change:
            in_file = await self._read_file()
            self._kept = await trio.to_thread.run_sync(self._kept_in.read)
            tables = _merged(in_file, self._kept)
            self._take(in_file, tables, await self._read_folders(in_file, tables))

    async def reload(self) -> None:
        """Read the settings file and all folders again. Raises `SetupError` as `open` does, and
        then nothing has changed: no file describes a part of its tables, and a server that starts
        with it refuses it too. Of a folder that is left out the clips from before stay."""
        async with self._change:
            in_file = await self._read_file()
            tables = _merged(in_file, self._kept)
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
        async with self._change:
            kept = dict(self._kept)
            if self.is_in_file(name):
                raise GroupRefused(
                    f"[groups.{name}] is in {self._config}; change it there and send SIGHUP"
                )
            if overrides is None:
                kept.pop(name, None)
            else:
                await trio.to_thread.run_sync(self._check_folder, overrides)
                kept[name] = overrides
            if len(kept) > GROUPS_MAX:
                raise GroupRefused(f"at most {GROUPS_MAX} groups have settings; remove one")
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
        for path, table in _tables_by_path(in_file).items():
            try:
                found |= await self._folders.read([path])
            except ClipError as error:
                raise SetupError(self._config or "", f"[{table}] clips: {error}") from error
        for path in _paths(tables) - found.keys():
            try:
                found |= await self._folders.read([path])
            except ClipError as error:
                log.warning("clips of a group left out", error=str(error))
                found |= self._folders.in_force([path])
        return found

    async def _change_to(self, kept: Mapping[str, Overrides], changed: Overrides | None) -> None:
        """Read the folder that the changed group names, and no other one: it may be gone."""
        tables = _merged(self._in_file, kept)
        own = {changed.clips} if changed is not None and changed.clips is not None else set()
        found = {**self._folders.in_force(_paths(tables)), **await self._folders.read(own)}
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
        if overrides.clips is None or overrides.clips in _paths(self._in_file):
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


class _NoTags:
    def tags_of(self, device_id: str) -> Sequence[str]:
        return ()

    def tagged(self, tag: str) -> Sequence[str]:
        return ()


def no_groups() -> Groups:
    """Return groups of a server where no device has a tag; they are not kept."""
    return Groups(_NoTags(), Folders(Cache(NOWHERE)))


def _merged(in_file: Tables, kept: Mapping[str, Overrides]) -> Tables:
    """A group of the file counts in the place of a kept one of its name."""
    return Tables(groups={**kept, **in_file.groups}, devices=in_file.devices)


def _tables_by_path(tables: Tables) -> dict[str, str]:
    """Return each folder that is named, with the first of the tables that name it."""
    named = [(own.clips, f"{GROUPS}.{name}") for name, own in tables.groups.items()]
    named += [(own.clips, f"{DEVICES}.{name}") for name, own in tables.devices.items()]
    return {path: table for path, table in reversed(named) if path is not None}


def _paths(tables: Tables) -> set[str]:
    own = (*tables.groups.values(), *tables.devices.values())
    return {one.clips for one in own if one.clips is not None}
