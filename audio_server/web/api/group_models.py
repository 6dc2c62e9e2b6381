"""Groups with settings of their own in the HTTP API."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from audio_server.groups.overrides import Overrides
from audio_server.web.api.models import Tag


class GroupSettings(Struct):
    """A group: all devices with a tag."""

    name: Tag
    source: Annotated[
        Literal["file", "api"] | None,
        Meta(description="where its settings come from; null without settings"),
    ]
    settings: Overrides
    clips: Annotated[
        list[str] | None,
        Meta(description="the clips of its folder, which are its modes; null: those of the fleet"),
    ]
    devices: Annotated[int, Meta(ge=0, description="how many have the tag, connected or not")]


class GroupList(Struct):
    """The groups with settings, in the order of the alphabet: of several groups of a device the
    first that has a setting counts."""

    groups: list[GroupSettings]
