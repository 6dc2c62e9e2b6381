"""A wrong value is one line that names the setting and where it came from, and status 2."""

from __future__ import annotations

import os

import pytest
from cyclopts import CycloptsError

from audio_server.cli.layers import check_named

WRONG = [
    ("host", ""),
    ("port", "65536"),
    ("port", "-1"),
    ("port", "1.5"),
    ("port", "http"),
    ("port", ""),
    ("clips", ""),
    ("cache", ""),
    ("trusted_proxies", "proxy.example"),
    ("trusted_proxies", "10.0.0.0/33"),
    ("trusted_proxies", "10.0.0.1,nothing"),
    ("proxy_protocol", "v2"),
    ("proxy_protocol", "true"),
    ("lead_ms", "59"),
    ("tts_command", "speak 'it"),
    ("tts_command", " "),
    ("lead_ms", "2001"),
    ("lead_ms", "300ms"),
    ("play_while_playing", "stop"),
    ("mode_while_playing", "restart"),
    ("stop_goes", "away"),
    ("worker_ports", "65536"),
    ("worker_ports", "each"),
    ("drain_s", "-1"),
    ("drain_s", "3601"),
    ("grace_s", "-0.1"),
    ("grace_s", "301"),
    ("grace_s", "nan"),
    ("grace_s", "inf"),
    ("grace_s", "soon"),
    ("workers", "0"),
    ("workers", "257"),
    ("workers", "1.5"),
    ("workers", "many"),
    ("workers", ""),
    ("log_level", "loud"),
    ("log_format", "xml"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_value(name, value, fail, monkeypatch, tmp_path) -> None:
    flag = "--" + name.replace("_", "-")
    assert flag in fail(f"{flag}={value}")
    assert flag in fail("serve", f"{flag}={value}")

    config = tmp_path / "settings.toml"
    config.write_text(f"{name} = {value!r}\n")
    line = fail("--config", str(config))
    assert name in line
    assert str(config) in line

    if value:  # an empty variable is one that is not set
        monkeypatch.setenv(f"AUDIO_SERVER_{name.upper()}", value)
        assert f"AUDIO_SERVER_{name.upper()}" in fail()


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("prot = 1", "prot"),
        ("lead-ms = 100", "lead-ms"),
        ("config = 'other.toml'", "config"),
        ("port = true", "port"),
        ("port = [1, 2]", "port"),
        ("host = ['a']", "host"),
        ("[port]\nnumber = 1", "port"),
        ("port = 1979-05-27", "port"),
        ("port = 1.5", "port"),
        ("port = ", "not a TOML file"),
        ("port = 1\nport = 2", "not a TOML file"),
    ],
)
def test_wrong_file(toml, named, fail, tmp_path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(toml)
    line = fail("--config", str(config))
    assert named in line
    assert str(config) in line


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("[groups.lobby]\nlead_ms = 1", "groups.lobby.lead_ms must be a whole number from 60 to"),
        ("[groups.lobby]\nport = 1", "groups.lobby: unknown setting: port; there are clips, lead"),
        ("[devices.x]\nstop_goes = 1", "devices.x.stop_goes must be home or keep"),
        ('[groups."a b"]', 'groups: "a b": a tag has 1 to 32 letters'),
        ("groups = 1", "groups must be tables: [groups.NAME]"),
    ],
)
def test_wrong_group(toml, named, fail, tmp_path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(toml)
    assert f"{config}: {named}" in fail("--config", str(config))


def test_groups_need_a_file_that_can_be_read_again(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CycloptsError, match="groups and devices need a file that can be read"):
        check_named(tmp_path / "pipe", {"groups": {"lobby": {"lead_ms": 100}}})


def test_folder_of_a_group_that_is_not_there(fail, tmp_path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('[groups.lobby]\nclips = "nowhere"\n')
    flags = ["--config", str(config), "--data", "off", "--cache", "cache", "--port", "0"]
    assert "nowhere: " in fail(*flags)
    assert "nowhere: " in fail("--workers=2", *flags)


def test_file_that_is_no_text(fail, tmp_path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"\xff\xff")
    assert "settings.toml: not a TOML file" in fail("--config", "settings.toml")


def test_file_that_is_not_there(fail, tmp_path) -> None:
    assert "nowhere.toml: No such file" in fail("--config", "nowhere.toml")
    assert f"{tmp_path}: Is a directory" in fail("--config", str(tmp_path))
    assert "--config" in fail("--config=")


def test_unknown_variable(fail, monkeypatch) -> None:
    monkeypatch.setenv("AUDIO_SERVER_PROT", "1")
    assert "AUDIO_SERVER_PROT" in fail()
    assert "AUDIO_SERVER_PROT" in fail("clips", "list")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--prot", "1"], "--prot"),
        (["--no-host"], "--no-host"),
        (["-p", "1"], "-p"),
        (["--port"], "--port"),
        (["--port", "1", "--port", "2"], "--port"),
        (["play"], "play"),
        (["serve", "now"], "now"),
        (["clips", "burn"], "burn"),
        (["clips", "list", "--port", "1"], "--port"),
    ],
)
def test_wrong_command_line(argv, named, fail) -> None:
    assert named in fail(*argv)
