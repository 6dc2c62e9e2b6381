"""Users without a home: no HOME, and no entry in the system's list of users."""

from __future__ import annotations

import json
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audio_server.files.home import NOWHERE, expanded, home_folder, is_nowhere
from audio_server.settings import Settings
from audio_server.settings.places import default_cache, default_data

# No user has this number; a container's or a service manager's may be any.
HOMELESS = """
import os, pwd, sys
def no_entry(uid):
    raise KeyError(uid)
pwd.getpwuid = no_entry
for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
from audio_server.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_entry(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for variable in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("home", ["", "relative"])
def test_an_empty_home_is_none(home: str, homeless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    assert home_folder() is None


def test_without_home_there_is_an_entry_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    home = home_folder()
    assert home is not None
    assert home.is_absolute()


def test_folders_are_nowhere(homeless: None) -> None:
    assert is_nowhere(default_cache())
    assert is_nowhere(default_data())
    assert not is_nowhere(None)
    assert not is_nowhere(Path("/devices/null"))
    with pytest.raises(OSError, match="Not a directory"):
        default_data().mkdir(parents=True)


def test_folders_of_the_desktop_need_no_home(
    homeless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert default_data() == Path("/srv/state/streaming-audio-server")


@pytest.mark.parametrize("path", ["~", "~/clips", "~no-such-user/clips"])
@pytest.mark.parametrize("flag", ["--clips", "--data", "--cache", "--config", "--tls-cert"])
def test_a_path_at_no_home_is_a_mistake(
    path: str, flag: str, homeless: None, fail: Callable[..., str]
) -> None:
    said = fail(flag, path)
    assert path in said
    assert "there is no home" in said or "no such user" in said


def test_all_folders_can_be_named(homeless: None, serve: Callable[..., Settings]) -> None:
    settings = serve("--data", "data", "--cache", "cache")
    assert (settings.data, settings.cache) == (Path("data"), Path("cache"))


@pytest.mark.parametrize("text", ["a\0b", "~/a\0b", "\0"])
def test_no_path_has_a_nul(text: str) -> None:
    """A TOML file can say it, and the system refuses it wherever the path is used."""
    with pytest.raises(ValueError, match="no NUL"):
        expanded(text)


def test_nothing_else_is_expanded(homeless: None) -> None:
    assert expanded("a~b") == Path("a~b")
    assert expanded("./~") == Path("./~")


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HOMELESS, *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_needs_no_home() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(NOWHERE) not in done.stdout
    assert "none, since there is no home" in done.stdout.replace("\n", " ").replace("  ", " ")


def test_tokens_need_a_folder() -> None:
    done = run("devices", "enroll", "kitchen")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "audio-server: there is no data folder; name one with --data FOLDER\n"


@pytest.mark.parametrize(
    ("named", "warnings"),
    [
        (("--data", "data", "--cache", "cache"), []),
        (
            (),
            ["clips are not cached: there is no home", "modes are not saved: there is no home"],
        ),
        (("--data", "off"), ["clips are not cached: there is no home"]),
    ],
)
def test_a_server_serves_and_says_what_it_does_not_keep(
    named: tuple[str, ...], warnings: list[str]
) -> None:
    command = [sys.executable, "-c", HOMELESS, "--port", "0", "--http", "off", *named]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines = [json.loads(process.stderr.readline())]
        while lines[-1]["event"] != "listening":
            lines.append(json.loads(process.stderr.readline()))
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0
    assert [line["event"] for line in lines[:-1]] == warnings
    assert all(line["see"] in ("--data FOLDER", "--cache FOLDER") for line in lines[:-1])
