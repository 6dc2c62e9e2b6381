"""Settings of a group or a device, and which of several count: pure functions.

The nearest value counts, for each setting by itself: that of the device, then that of its groups,
then that of the fleet. Of several groups the first in the order of the alphabet counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from audio_server.settings.values import (
    BRIGHTNESS_MAX,
    BRIGHTNESS_MIN,
    LEAD_MS_MAX,
    LEAD_MS_MIN,
)

PATH_MAX = 1024
"""Characters of a folder's path."""


Path = Annotated[
    str, Meta(min_length=1, max_length=PATH_MAX, description="a folder; its clips are the modes")
]
Percent = Annotated[int, Meta(ge=BRIGHTNESS_MIN, le=BRIGHTNESS_MAX, description="in percent")]


class Overrides(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Settings of a group or a device; null leaves a setting to the next level."""

    clips: Path | None = None
    lead_ms: Annotated[int, Meta(ge=LEAD_MS_MIN, le=LEAD_MS_MAX)] | None = None
    play_while_playing: Literal["restart", "ignore", "queue"] | None = None
    mode_while_playing: Literal["keep", "stop", "switch"] | None = None
    stop_goes: Literal["home", "keep"] | None = None
    led_brightness: Percent | None = None


NAMES = Overrides.__struct_fields__
NONE = Overrides()


class Tables(Struct, frozen=True, kw_only=True):
    """The settings of groups, by their tags, and those of devices, by their ids."""

    groups: dict[str, Overrides] = {}
    devices: dict[str, Overrides] = {}


def nearest(layers: Iterable[Overrides]) -> Overrides:
    """Return for each setting the value of the first layer that has one."""
    found: dict[str, object] = {}
    for layer in layers:
        for name, value in structs.asdict(layer).items():
            if value is not None:
                found.setdefault(name, value)
    return Overrides(**found)  # type: ignore[arg-type]


def overrides_of(tables: Tables, device_id: str, tags: Iterable[str]) -> Overrides:
    """Return the settings that a device with those tags has besides those of the fleet."""
    groups: Mapping[str, Overrides] = tables.groups
    layers = [groups[tag] for tag in sorted(tags) if tag in groups]
    own = tables.devices.get(device_id)
    return nearest(layers if own is None else [own, *layers])


def shortest_lead_s(fleet_ms: int, own: Iterable[Overrides]) -> float:
    """Return the shortest lead, in seconds, of devices with the fleet's lead or with one of these
    settings."""
    return min([fleet_ms, *(one.lead_ms for one in own if one.lead_ms is not None)]) / 1000
