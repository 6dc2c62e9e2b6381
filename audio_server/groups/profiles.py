"""The profiles of devices, made of the fleet's profile and of settings of groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Rules
from audio_server.device.profile import Profile
from audio_server.groups.overrides import NONE, Overrides


class Profiles:
    """One profile for all devices with the same settings. `fleet` returns the fleet's profile, and
    `sources` are modes after the clips, of groups too."""

    def __init__(self, fleet: Callable[[], Profile], sources: Sequence[AudioSource] = ()) -> None:
        self._fleet = fleet
        self._sources = sources
        self._folders: Mapping[str, Sequence[AudioSource]] = {}
        self._made: dict[Overrides, Profile] = {}
        self._made_of: Profile | None = None

    def use(self, folders: Mapping[str, Sequence[AudioSource]]) -> None:
        """Have these clips in force, by the folder that settings name."""
        self._folders = folders
        self._made = {}

    def of(self, overrides: Overrides) -> Profile:
        """Return the profile for settings; a folder that is not there leaves the fleet's clips."""
        fleet = self._fleet()
        if overrides == NONE:
            return fleet
        if fleet is not self._made_of:
            self._made, self._made_of = {}, fleet
        if (made := self._made.get(overrides)) is None:
            clips = self._folders.get(overrides.clips or "")
            modes = fleet.clips if clips is None else [*clips, *self._sources]
            made = self._made[overrides] = profile_of(fleet, modes, overrides)
        return made


def profile_of(fleet: Profile, clips: Sequence[AudioSource], overrides: Overrides) -> Profile:
    """Return the fleet's profile with other clips and with the settings that are given."""
    rules = Rules(
        len(clips),
        overrides.play_while_playing or fleet.rules.play_while_playing,
        overrides.mode_while_playing or fleet.rules.mode_while_playing,
        overrides.stop_goes or fleet.rules.stop_goes,
    )
    pace = fleet.pace
    if overrides.lead_ms is not None:
        pace = replace(pace, lead_s=overrides.lead_ms / 1000)
    return Profile(clips, rules, pace, overrides.led_brightness or fleet.brightness)
