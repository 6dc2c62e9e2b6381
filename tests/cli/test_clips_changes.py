"""`clips move`, `clips remove` and `clips replace`, as a user calls them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from audio_server.cli import change, main
from audio_server.clips.folder import default_clips


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three clips in ./clips; gives what lists them."""
    shipped = sorted(default_clips().glob("*.opus"))
    (tmp_path / "clips").mkdir()
    for name, source in zip(("0-a.opus", "1-b.opus", "2-c.opus"), shipped, strict=False):
        (tmp_path / "clips" / name).write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    return lambda: sorted(path.name for path in Path("clips").iterdir())


@pytest.fixture
def say(capsys):
    """Run a command that must succeed; gives what it printed."""

    def run(*argv: str) -> tuple[str, str]:
        with pytest.raises(SystemExit) as exit:
            main(("clips", *argv))
        said = capsys.readouterr()
        assert not exit.value.code, said.err
        return said.out, said.err

    return run


def test_a_clip_gets_another_mode(say, files) -> None:
    assert say("move", "c", "0") == ("clips/00-c.opus\n", "")
    assert files() == ["00-c.opus", "01-a.opus", "02-b.opus"]


def test_a_clip_is_removed(say, files) -> None:
    assert say("remove", "1-b") == ("clips/1-b.opus\n", "")
    assert files() == ["0-a.opus", "2-c.opus"]


def test_a_clip_is_renamed(say, files) -> None:
    assert say("rename", "b", "7 rings") == ("clips/1-7 rings.opus\n", "")
    assert files() == ["0-a.opus", "1-7 rings.opus", "2-c.opus"]


def test_a_clip_is_replaced(say, files) -> None:
    assert say("replace", "0-a.opus", "clips/2-c.opus") == ("clips/0-a.opus\n", "")
    assert Path("clips/0-a.opus").read_bytes() == Path("clips/2-c.opus").read_bytes()
    assert files() == ["0-a.opus", "1-b.opus", "2-c.opus"]


def test_a_reader_is_told_how_a_server_comes_to_know(say, files, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert say("remove", "b") == ("clips/1-b.opus\n", f"{change.HINT}\n")
    assert say("add", "clips/0-a.opus") == ("clips/3-a.opus\n", f"{change.HINT}\n")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["move", "d", "0"], "d: there is no such clip"),
        (["move", "a", "3"], "the last mode is 2"),
        (["move", "a", "-1"], "-1"),
        (["move", "a", "first"], '"first" is not a whole number'),
        (["rename", "a", "x/y"], "separates folders"),
        (["rename", "d", "x"], "d: there is no such clip"),
        (["remove", "d"], "d: there is no such clip"),
        (["remove", "a", "--clips", "nowhere"], "nowhere: no folder of clips"),
        (["replace", "a", "nowhere.wav"], "nowhere.wav: cannot be read"),
        (["replace", "d", "clips/0-a.opus"], "d: there is no such clip"),
    ],
)
def test_what_cannot_be_done(argv, named, fail, files) -> None:
    before = files()
    assert named in fail("clips", *argv)
    assert files() == before
