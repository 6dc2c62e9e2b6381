"""Which setting counts: the device's, then those of its groups, then the fleet's."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from msgspec import structs

from audio_server.device.behaviour import Rules
from audio_server.device.pace import Pace
from audio_server.device.profile import Profile
from audio_server.groups.overrides import (
    NAMES,
    NONE,
    Overrides,
    Tables,
    nearest,
    overrides_of,
    shortest_lead_s,
)
from audio_server.groups.profiles import Profiles

VALUES = {
    "clips": ("of-device", "of-a", "of-b"),
    "lead_ms": (60, 100, 2000),
    "play_while_playing": ("ignore", "queue", "restart"),
    "mode_while_playing": ("stop", "switch", "keep"),
    "stop_goes": ("keep", "home", "keep"),
    "led_brightness": (1, 50, 100),
}
"""For each setting the value of the device, of group a and of group b."""

LEVELS = 3


def one(name: str, value: object) -> Overrides:
    return Overrides(**{name: value})  # type: ignore[arg-type]


def test_every_setting_is_tried() -> None:
    assert set(VALUES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_nearest_counts(name: str) -> None:
    """Each setting, given or not at each level, with the tags in any order."""
    for given in product((False, True), repeat=LEVELS):
        levels = [
            one(name, value) if is_given else NONE
            for value, is_given in zip(VALUES[name], given, strict=True)
        ]
        tables = Tables(groups={"b": levels[2], "a": levels[1]}, devices={"x": levels[0]})
        expected = next((v for v, g in zip(VALUES[name], given, strict=True) if g), None)
        for tags in permutations(("a", "b", "other")):
            assert overrides_of(tables, "x", tags) == one(name, expected)


def test_each_setting_is_decided_by_itself() -> None:
    """Every way to spread the settings over device, group a, group b and the fleet."""
    for owners in product(range(LEVELS + 1), repeat=len(NAMES)):
        layers = [
            Overrides(
                **{  # type: ignore[arg-type]
                    name: VALUES[name][level]
                    for name, owner in zip(NAMES, owners, strict=True)
                    if owner == level
                }
            )
            for level in range(LEVELS)
        ]
        found = structs.asdict(nearest(layers))
        for name, owner in zip(NAMES, owners, strict=True):
            assert found[name] == (VALUES[name][owner] if owner < LEVELS else None)


def test_a_group_of_others_does_not_count() -> None:
    tables = Tables(groups={"a": one("lead_ms", 60)}, devices={"y": one("lead_ms", 70)})
    assert overrides_of(tables, "x", ("b",)) == NONE
    assert overrides_of(tables, "x", ()) == NONE


FLEET = Profile((), Rules(0, "queue", "stop", "keep"), Pace(0.3, 20.0), 80)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "clips"])
def test_the_fleet_has_the_rest(name: str) -> None:
    made = Profiles(lambda: FLEET).of(one(name, VALUES[name][0]))
    found = {
        "lead_ms": made.pace.lead_s * 1000,
        "play_while_playing": made.rules.play_while_playing,
        "mode_while_playing": made.rules.mode_while_playing,
        "stop_goes": made.rules.stop_goes,
        "led_brightness": made.brightness,
    }
    fleet = {
        "lead_ms": 300,
        "play_while_playing": "queue",
        "mode_while_playing": "stop",
        "stop_goes": "keep",
        "led_brightness": 80,
    }
    assert found == fleet | {name: VALUES[name][0]}
    assert made.pace.stall_s == 20.0
    assert made.clips is FLEET.clips


def test_devices_with_the_same_settings_share_a_profile() -> None:
    profiles = Profiles(lambda: FLEET)
    assert profiles.of(NONE) is FLEET
    assert profiles.of(one("lead_ms", 60)) is profiles.of(one("lead_ms", 60))


def test_a_folder_that_is_not_there_leaves_the_clips_of_the_fleet() -> None:
    profiles = Profiles(lambda: FLEET)
    assert profiles.of(one("clips", "gone")).clips is FLEET.clips


def test_the_shortest_lead_is_that_of_a_group_or_the_fleets() -> None:
    assert shortest_lead_s(300, []) == 0.3
    assert shortest_lead_s(300, [NONE, one("lead_ms", 2000)]) == 0.3
    assert shortest_lead_s(300, [one("lead_ms", 60), one("lead_ms", 2000)]) == 0.06
