"""The tables of groups and devices in the settings file, and their errors."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from audio_server.errors import SetupError
from audio_server.groups.kept import NAME, KeptGroups
from audio_server.groups.overrides import NAMES, NONE, Overrides
from audio_server.groups.tables import GROUPS_MAX, VALUES, BadTable, read_tables, tables_of

GOOD = """
port = 7

[groups.lobby]
clips = "sounds/lobby"
lead_ms = 100
play_while_playing = "ignore"

[groups.night-2]
led_brightness = 10
mode_while_playing = "stop"
stop_goes = "keep"

[devices."AA:bb.7"]
lead_ms = 2000
"""


def test_tables_are_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(GOOD)
    tables = read_tables(file)
    assert tables.groups == {
        "lobby": Overrides(clips="sounds/lobby", lead_ms=100, play_while_playing="ignore"),
        "night-2": Overrides(led_brightness=10, mode_while_playing="stop", stop_goes="keep"),
    }
    assert tables.devices == {"AA:bb.7": Overrides(lead_ms=2000)}


def test_every_setting_has_a_line_about_its_values() -> None:
    assert set(VALUES) == set(NAMES)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("groups = 1", "groups must be tables: [groups.NAME]"),
        ("devices = []", "devices must be tables: [devices.NAME]"),
        ("[groups]\nlobby = 3", "groups.lobby must be a table: [groups.lobby]"),
        ("[groups.lobby]\nleds = 1", "groups.lobby: unknown setting: leds; there are clips, lead"),
        ("[groups.lobby]\nlead_ms = 59", "groups.lobby.lead_ms must be a whole number from 60 to"),
        ("[groups.lobby]\nlead_ms = 2001", "groups.lobby.lead_ms must be a whole number"),
        ("[groups.lobby]\nlead_ms = true", "groups.lobby.lead_ms must be a whole number"),
        ("[groups.lobby]\nlead_ms = 60.5", "groups.lobby.lead_ms must be a whole number"),
        ('[groups.lobby]\nlead_ms = "60"', "groups.lobby.lead_ms must be a whole number"),
        ("[groups.lobby]\nled_brightness = 0", "led_brightness must be a whole number from 1 to"),
        ("[groups.lobby]\nled_brightness = 101", "led_brightness must be a whole number from 1"),
        ('[groups.lobby]\nclips = ""', "groups.lobby.clips must be a path of a folder"),
        ("[groups.lobby]\nclips = ['a']", "groups.lobby.clips must be a path of a folder"),
        ('[groups.lobby]\nclips = "a\\u0000"', "groups.lobby.clips must be a path of a folder"),
        ('[groups.lobby]\nstop_goes = "Home"', "groups.lobby.stop_goes must be home or keep"),
        ('[groups.lobby]\nplay_while_playing = "x"', "must be restart, ignore or queue"),
        ("[groups.lobby]\nmode_while_playing = 1", "must be keep, stop or switch"),
        ('[groups."a b"]', 'groups: "a b": a tag has'),
        ("[groups.a]\n[groups.A]", "groups.A: a is there twice"),
        ('[devices."a b"]', 'devices: "a b": a device id is 1-64'),
        ("[devices.x]\nport = 1", "devices.x: unknown setting: port"),
        ("a = ", "not a TOML file: "),
        ("a = " + "[" * 5000, "not a TOML file"),
    ],
)
def test_a_mistake_gets_one_line(text: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SetupError) as caught:
        read_tables(file)
    assert line in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_there_are_at_most_so_many_groups() -> None:
    tables = {f"g{number}": {} for number in range(GROUPS_MAX)}
    assert len(tables_of({"groups": tables}).groups) == GROUPS_MAX
    with pytest.raises(BadTable, match="257 groups, but at most 256"):
        tables_of({"groups": {**tables, "more": {}}})


def test_an_empty_table_leaves_all_to_the_fleet() -> None:
    assert tables_of(tomllib.loads("[groups.lobby]")).groups == {"lobby": NONE}


def test_kept_groups_come_back(tmp_path: Path) -> None:
    kept = KeptGroups(tmp_path / "data")
    assert kept.read() == {}
    groups = {"lobby": Overrides(lead_ms=100), "hall": NONE}
    kept.write(groups)
    assert KeptGroups(tmp_path / "data").read() == groups


def test_without_a_data_folder_nothing_is_kept() -> None:
    KeptGroups(None).write({"lobby": NONE})
    assert KeptGroups(None).read() == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"lobby": {"lead_ms": 1}}', '{"a b": {}}', "\xff"])
def test_kept_groups_that_were_changed_by_hand_get_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_bytes(content.encode("latin-1"))
    with pytest.raises(SetupError, match=r"groups\.json: .*; remove it, or put it right$"):
        KeptGroups(tmp_path).read()
