"""`clips list` and `clips add`, as a user calls them."""

from __future__ import annotations

import io
import json
import math
import struct
import sys
import wave
from pathlib import Path

import pytest

from audio_server.cli import main
from audio_server.clips.folder import default_clips

PACKET_S = 0.02


@pytest.fixture
def say(capsys, tmp_path, monkeypatch):
    """Run a command that must succeed, with a cache of its own; gives what it printed."""
    monkeypatch.setenv("AUDIO_SERVER_CACHE", str(tmp_path / "cache"))

    def run(*argv: str) -> str:
        with pytest.raises(SystemExit) as exit:
            main(argv)
        said = capsys.readouterr()
        assert (exit.value.code or 0, said.err) == (0, "")
        return said.out

    return run


@pytest.fixture
def stdin(monkeypatch):
    """Put bytes into a standard input that cannot seek, as a pipe cannot."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    def fill(data: bytes) -> None:
        Path("clips").mkdir(exist_ok=True)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(data)))

    return fill


def tone(kind: str, *, rate_hz: int, channels: int, seconds: float) -> bytes:
    """A tone of 440 Hz as raw PCM, the same in each channel."""
    scale, offset = {"h": (20000, 0), "i": (2**30, 0), "f": (0.6, 0), "B": (80, 128)}[kind]
    waves = (math.sin(2 * math.pi * 440 * n / rate_hz) for n in range(int(rate_hz * seconds)))
    samples = [wave * scale + offset for wave in waves for _ in range(channels)]
    return struct.pack(f"<{len(samples)}{kind}", *map(float if kind == "f" else int, samples))


def listed(say) -> list[dict]:
    return json.loads(say("clips", "list", "--json", "--clips", "clips"))


def test_list_of_the_shipped_clips(say) -> None:
    lines = say("clips", "list").splitlines()
    assert lines[0].split() == ["mode", "name", "duration", "bit", "rate", "source"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [str(mode), file.stem] for mode, file in enumerate(sorted(default_clips().glob("*.opus")))
    ]
    assert all("kb/s" in line and "opus, as it is" in line for line in lines[1:])


def test_list_for_programs(say, tmp_path) -> None:
    (tmp_path / "clips").mkdir()
    with wave.open("clips/beep.wav", "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(tone("h", rate_hz=8000, channels=2, seconds=0.5))
    (clip,) = listed(say)
    assert (clip["mode"], clip["name"]) == (0, "beep")
    assert clip["source"] == {
        "codec": "pcm_s16le",
        "rate_hz": 8000,
        "channels": 2,
        "passed_through": False,
    }
    assert 0.5 <= clip["duration_s"] <= 0.5 + 2 * PACKET_S
    assert 5_000 < clip["bit_rate_bps"] < 200_000
    assert "pcm_s16le 8000 Hz, 2 ch" in say("clips", "list", "--clips", "clips")


@pytest.mark.parametrize(
    ("format", "kind", "rate_hz", "channels"),
    [("s16", "h", 48000, 1), ("s32", "i", 44100, 2), ("f32", "f", 96000, 1), ("u8", "B", 8000, 2)],
)
def test_add_raw_sound_from_a_pipe(format, kind, rate_hz, channels, say, stdin, tmp_path) -> None:
    stdin(tone(kind, rate_hz=rate_hz, channels=channels, seconds=0.3))
    shape = ["--rate", str(rate_hz), "--channels", str(channels), "--format", format]
    assert say("clips", "add", *shape, "-") == "clips/00-recording.opus\n"
    (clip,) = listed(say)
    assert clip["source"]["passed_through"]
    assert 0.3 <= clip["duration_s"] <= 0.3 + 2 * PACKET_S
    assert [file.name for file in (tmp_path / "clips").iterdir()] == ["00-recording.opus"]


@pytest.mark.parametrize("given", [["--rate", "48000"], ["--channels", "1"], ["--format", "s16"]])
def test_add_raw_sound_that_is_half_described(given, say, stdin) -> None:
    stdin(tone("h", rate_hz=48000, channels=1, seconds=0.3))
    say("clips", "add", *given, "-")
    assert 0.3 <= listed(say)[0]["duration_s"] <= 0.3 + 2 * PACKET_S


def test_raw_sound_that_is_not_described_is_an_error_that_says_how(fail, stdin, tmp_path) -> None:
    stdin(tone("h", rate_hz=48000, channels=1, seconds=0.3))
    said = fail("clips", "add", "-")
    assert said.startswith("audio-server: standard input: cannot be read as sound")
    assert "for raw sound give --rate, --channels or --format" in said
    assert not list(tmp_path.glob("clips/*"))


def test_add_a_file_which_gets_the_next_mode(say) -> None:
    Path("clips").mkdir()
    source = default_clips() / "1-square.opus"
    assert say("clips", "add", str(source)) == "clips/00-square.opus\n"
    assert say("clips", "add", "--name", "box", str(source)) == "clips/01-box.opus\n"
    assert Path("clips/01-box.opus").read_bytes() == source.read_bytes()
    assert [clip["name"] for clip in listed(say)] == ["00-square", "01-box"]


def test_the_folder_is_the_servers(say, monkeypatch) -> None:
    monkeypatch.setenv("AUDIO_SERVER_CLIPS", "sounds")
    source = default_clips() / "1-square.opus"
    assert say("clips", "add", str(source)) == "sounds/00-square.opus\n"
    assert say("clips", "add", "--clips", "others", str(source)) == "others/00-square.opus\n"


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["nowhere.wav"], "nowhere.wav"),
        (["noise.wav"], "noise.wav"),
        (["empty.wav"], "empty.wav"),
        (["folder"], "folder: cannot be read (Is a directory)"),
        (["--name", "a/b", "noise.wav"], "a/b"),
        (["--rate", "7999", "-"], "--rate"),
        (["--rate", "fast", "-"], "--rate"),
        (["--rate", "48000", "--channels", "0", "-"], "--channels"),
        (["--rate", "48000", "--format", "s99", "-"], "--format"),
        (["--rate", "48000", "noise.wav"], "--rate"),
        (["-x"], "-x"),
        ([], "FILE"),
    ],
)
def test_what_cannot_be_added(argv, named, fail, tmp_path) -> None:
    (tmp_path / "noise.wav").write_bytes(b"no sound" * 1000)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    assert named in fail("clips", "add", *argv)
    assert not list(tmp_path.glob("clips/*"))


def test_what_cannot_be_listed(fail, tmp_path) -> None:
    assert "nowhere" in fail("clips", "list", "--clips", "nowhere")
    (tmp_path / "clips").mkdir()
    assert "clips: " in fail("clips", "list")
    (tmp_path / "clips" / "empty.wav").touch()
    assert "empty.wav" in fail("clips", "list")


def test_the_first_clip_of_ones_own_hides_no_shipped_one(say, tmp_path) -> None:
    said = say("clips", "add", str(default_clips() / "1-square.opus"), "--name", "bell")
    own = tmp_path / "state" / "streaming-audio-server" / "clips"
    assert said == f"{own}/5-bell.opus\n"
    assert [line.split()[1] for line in say("clips", "list").splitlines()[1:]] == [
        *(file.stem for file in sorted(default_clips().glob("*.opus"))),
        "5-bell",
    ]
    assert not (tmp_path / "clips").exists()
    other = say("clips", "list", "--data", str(tmp_path / "other"))
    assert len(other.splitlines()) == 6


def test_shipped_clips_are_not_changed_where_nothing_is_kept(tmp_path, fail) -> None:
    said = fail("clips", "remove", "square", "--data", "off")
    assert "these clips come with the server; have your own with --data FOLDER" in said
