"""The groups of a server as others see them: the tags they go by, the devices that take their
settings, and refusals of changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from audio_server.clips.clip_reader import Loaded

FolderClips: TypeAlias = Mapping[str, Sequence[Loaded]]
"""The clips of folders, by the paths as settings have them."""


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


class GroupsUnavailable(Exception):
    """Groups are those of a cluster, which keeps no change now; `str()` is the reason."""


class Tags(Protocol):
    """The tags of all devices, connected or not."""

    def tags_of(self, device_id: str) -> Sequence[str]:
        """Return the tags of a device."""

    def tagged(self, tag: str) -> Sequence[str]:
        """Return the devices that have a tag."""
