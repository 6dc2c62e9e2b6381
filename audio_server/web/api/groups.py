"""The settings of groups: a list of them, and their changes."""

from __future__ import annotations

from typing import Final

from audio_server.groups.groups import GroupRefused
from audio_server.groups.overrides import NONE, Overrides
from audio_server.names import checked_tag
from audio_server.web.api import group_models as shapes
from audio_server.web.api.operation import ApiRequest, Operation, Problem
from audio_server.web.context import Context

GROUP: Final = "/api/groups/{name}"

NO_SUCH: Final = "no device has the tag, and the group has no settings"
REFUSED: Final = "the settings file has the group, or the folder cannot be named or kept"
UNUSABLE: Final = "the JSON or the name is invalid, or the folder has no clips that can be used"


class GroupOperations:
    """They work on the groups of the server, of all its processes."""

    def __init__(self, context: Context) -> None:
        self._groups = context.groups
        self._fleet = context.fleet

    @Operation("GET", "/api/groups", shapes.GroupList)
    async def list_groups(self, asked: ApiRequest) -> shapes.GroupList:
        """All groups that have settings of their own."""
        return shapes.GroupList([self._described(name) for name in self._groups.all])

    @Operation("GET", GROUP, shapes.GroupSettings, problems={404: NO_SUCH, 422: UNUSABLE})
    async def get_group(self, asked: ApiRequest) -> shapes.GroupSettings:
        """The settings of a group."""
        group = self._described(checked_tag(asked.named("name")))
        if group.source is None and not group.devices:
            raise Problem(404, NO_SUCH)
        return group

    @Operation(
        "PUT", GROUP, shapes.GroupSettings, body=Overrides, problems={409: REFUSED, 422: UNUSABLE}
    )
    async def put_group(self, asked: ApiRequest) -> shapes.GroupSettings:
        """Give a group these settings, in the place of all that it had; a setting that is left out
        is that of the fleet. It answers when connected devices have them."""
        return await self._put(asked, asked.body)

    @Operation("DELETE", GROUP, shapes.GroupSettings, problems={409: REFUSED, 422: UNUSABLE})
    async def delete_group(self, asked: ApiRequest) -> shapes.GroupSettings:
        """Take all settings of a group away; its devices keep the tag."""
        return await self._put(asked, None)

    async def _put(self, asked: ApiRequest, overrides: Overrides | None) -> shapes.GroupSettings:
        name = checked_tag(asked.named("name"))
        try:
            await self._groups.put(name, overrides)
        except GroupRefused as refusal:
            raise Problem(409, str(refusal)) from refusal
        return self._described(name)

    def _described(self, name: str) -> shapes.GroupSettings:
        own = self._groups.all.get(name)
        clips = self._groups.clips_in(own or NONE)
        source = None if own is None else "file" if self._groups.is_in_file(name) else "api"
        return shapes.GroupSettings(
            name,
            source,  # type: ignore[arg-type]
            own or NONE,
            None if clips is None else [clip.name for clip in clips],
            len(self._fleet.tagged(name)),
        )
