"""`audio-server backup` and `restore`, as a user calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_server.cli import main
from audio_server.clips.folder import default_clips


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]):
    """Run a command that must succeed; gives the lines it printed."""

    def run(*argv: str) -> list[str]:
        with pytest.raises(SystemExit) as exit:
            main(argv)
        said = capsys.readouterr()
        assert not exit.value.code, said.err
        return said.out.splitlines()

    return run


def test_all_that_a_server_keeps(say, tmp_path: Path) -> None:
    sounds, data, config = tmp_path / "sounds", tmp_path / "data", tmp_path / "audio.toml"
    for folder in (sounds, data):
        folder.mkdir()
    (data / "http-token").write_text("secret")
    config.write_text(f'clips = "{sounds}"\ndata = "{data}"\n')
    source = default_clips() / "1-square.opus"
    say("clips", "add", "--config", str(config), str(source))
    assert say("backup", "kept.tar", "--config", str(config)) == ["kept.tar"]
    new = tmp_path / "new"
    assert say("restore", "kept.tar", "--data", str(new)) == [
        str(new),
        f"start the server with --config {new / 'settings.toml'}",
    ]
    assert (new / "clips" / "00-square.opus").read_bytes() == source.read_bytes()
    again = say("restore", "kept.tar", "--data", str(new))
    assert again[1].startswith(f"before: {new}.before-")


def test_shipped_clips_are_not_in_it(say, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    say("backup", "kept.tar", "--data", "data")
    say("restore", "kept.tar", "--data", "new")
    assert list(Path("new").iterdir()) == []


def test_without_a_data_folder(fail) -> None:
    for command in ("backup", "restore"):
        said = fail(command, "kept.tar", "--data", "off")
        assert "there is no data folder; name one with --data FOLDER" in said
