"""The settings of groups for all nodes: a document with the settings of each device that has some,
and with the clips of the folders that they name, which are blobs as those of the fleet are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec
import trio

from audio_server.clips.clip import Clip
from audio_server.cluster.clip_list import Listed, Sounds, blobs_of, clips_of, listed
from audio_server.cluster.interface import Documents
from audio_server.cluster.local import Hub
from audio_server.groups.overrides import Overrides

KEY = "groups"

Members: TypeAlias = Mapping[str, Overrides]
"""The settings of each device that has some."""

FolderClips: TypeAlias = Mapping[str, Sequence[Clip]]
"""The clips of each folder that settings name."""


class _Document(msgspec.Struct, frozen=True, array_like=True):
    settings: list[Overrides]
    members: dict[str, int]
    folders: dict[str, list[Listed]]


class GroupDocument:
    """Puts the document. Clips are hashed when they are others, not when members change."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._clips: FolderClips = {}
        self._folders: dict[str, list[Listed]] = {}
        self._blobs: dict[str, bytes] = {}

    async def put(self, members: Callable[[], Members], clips: FolderClips) -> None:
        """Put the settings, in place of those before. A cancel changes nothing."""
        if clips is not self._clips:
            folders = {path: await listed(own) for path, own in clips.items()}
            self._blobs = {
                sha: frames
                for path, own in clips.items()
                for sha, frames in blobs_of(folders[path], own).items()
            }
            self._clips, self._folders = clips, folders
        numbers: dict[Overrides, int] = {}
        numbered = {
            device_id: numbers.setdefault(own, len(numbers)) for device_id, own in members().items()
        }
        document = _Document(list(numbers), numbered, self._folders)
        self._hub.put_document(KEY, msgspec.msgpack.encode(document), self._blobs)


class GroupList:
    """The settings of groups as a node has them."""

    def __init__(self, cluster: Documents, sounds: Sounds) -> None:
        self._cluster = cluster
        self._sounds = sounds
        self._version = 0
        self._turn = trio.Lock()

    async def fetch(self, use: Callable[[Members, FolderClips], None]) -> None:
        """Have `use` called with the newest settings, unless they are in use. Raises
        `ClusterDown`."""
        async with self._turn:
            while (document := await self._cluster.document(KEY)).version > self._version:
                told = msgspec.msgpack.decode(document.data, type=_Document)
                entries = [one for own in told.folders.values() for one in own]
                try:
                    clips = await self._sounds.fetch(entries)
                except KeyError:
                    continue  # it was replaced meanwhile
                members = {key: told.settings[number] for key, number in told.members.items()}
                use(members, {path: clips_of(own, clips) for path, own in told.folders.items()})
                self._sounds.hold(KEY, clips)
                self._version = document.version
