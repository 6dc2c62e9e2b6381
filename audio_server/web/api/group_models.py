"""Groups with settings of their own in the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, get_type_hints

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from audio_server.groups.overrides import Overrides
from audio_server.web.api.models import Missing, Tag


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
    connected: Annotated[int, Meta(ge=0, description="how many of them are connected")]
    missing: Missing = UNSET


class GroupList(Struct):
    """Groups, in the order of the alphabet: of several groups of a device the first that has a
    setting counts."""

    groups: list[GroupSettings]
    missing: Missing = UNSET


class WhichGroups(Struct, forbid_unknown_fields=True):
    """Which groups are listed."""

    all: Annotated[bool, Meta(description="tags without settings of their own, too")] = False


if TYPE_CHECKING:

    class GroupChange(Struct):
        """Some of the settings of `Overrides`, or null to take one away."""
else:
    GroupChange = defstruct(
        "GroupChange",
        [
            (name, kind | UnsetType, UNSET)
            for name, kind in get_type_hints(Overrides, include_extras=True).items()
        ],
        namespace={"__doc__": "Settings to change; null leaves one to the fleet."},
        module=__name__,
        forbid_unknown_fields=True,
        kw_only=True,
    )
