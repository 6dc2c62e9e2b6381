"""The settings of groups: a list of them, and their changes."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET
from msgspec.structs import asdict, replace

from audio_server.fleet.interface import TagCount, TagCounts
from audio_server.groups.overrides import NONE, Overrides
from audio_server.names import checked_tag
from audio_server.web.api import group_models as shapes
from audio_server.web.api.operation import ApiRequest, Operation, Problem
from audio_server.web.context import Context

GROUP: Final = "/api/groups/{name}"

NO_SUCH: Final = "no device has the tag, and the group has no settings"
REFUSED: Final = "the settings file has the group, or the folder cannot be named or kept"
UNUSABLE: Final = "the JSON or the name is invalid, or the folder has no clips that can be used"
CHANGE: Final = {
    409: REFUSED,
    413: "the clips of all groups together are too large for a cluster",
    422: UNUSABLE,
    503: "the cluster is down, and keeps no change",
}
NOBODY: Final = TagCount(0, 0)


class GroupOperations:
    """They work on the groups of the server, of all its processes."""

    def __init__(self, context: Context) -> None:
        self._groups = context.groups
        self._fleet = context.fleet

    @Operation("GET", "/api/groups", shapes.GroupList, query=shapes.WhichGroups)
    async def list_groups(self, asked: ApiRequest) -> shapes.GroupList:
        """All groups that have settings of their own."""
        counts = await self._fleet.tag_counts()
        names = {*self._groups.all, *(counts.tags if asked.query.all else ())}
        described = [self._described(name, counts) for name in sorted(names)]
        return shapes.GroupList(described, list(counts.missing) or UNSET)

    @Operation("GET", GROUP, shapes.GroupSettings, problems={404: NO_SUCH, 422: UNUSABLE})
    async def get_group(self, asked: ApiRequest) -> shapes.GroupSettings:
        """The settings of a group."""
        group = await self._told(checked_tag(asked.named("name")))
        if group.source is None and not group.devices:
            raise Problem(404, NO_SUCH)
        return group

    @Operation("PUT", GROUP, shapes.GroupSettings, body=Overrides, problems=CHANGE)
    async def put_group(self, asked: ApiRequest) -> shapes.GroupSettings:
        """Give a group these settings, in the place of all that it had; a setting that is left out
        is that of the fleet. It answers when connected devices have them."""
        name = checked_tag(asked.named("name"))
        await self._groups.put(name, asked.body)
        return await self._told(name)

    @Operation("PATCH", GROUP, shapes.GroupSettings, body=shapes.GroupChange, problems=CHANGE)
    async def change_group(self, asked: ApiRequest) -> shapes.GroupSettings:
        """Change some settings of a group; the others stay, and null takes one away. A group that
        is left without any is removed. It answers when connected devices have them."""
        name = checked_tag(asked.named("name"))
        values = {key: value for key, value in asdict(asked.body).items() if value is not UNSET}
        await self._groups.change(name, values)
        return await self._told(name)

    @Operation("DELETE", GROUP, shapes.GroupSettings, problems=CHANGE)
    async def delete_group(self, asked: ApiRequest) -> shapes.GroupSettings:
        """Take all settings of a group away; its devices keep the tag."""
        name = checked_tag(asked.named("name"))
        await self._groups.put(name, None)
        return await self._told(name)

    async def _told(self, name: str) -> shapes.GroupSettings:
        counts = await self._fleet.tag_counts()
        told = self._described(name, counts)
        return replace(told, missing=list(counts.missing) or UNSET)

    def _described(self, name: str, counts: TagCounts) -> shapes.GroupSettings:
        own = self._groups.all.get(name)
        clips = self._groups.clips_in(own or NONE)
        source = None if own is None else "file" if self._groups.is_in_file(name) else "api"
        count = counts.tags.get(name, NOBODY)
        return shapes.GroupSettings(
            name,
            source,  # type: ignore[arg-type]
            own or NONE,
            None if clips is None else [clip.name for clip in clips],
            count.known,
            count.connected,
        )
