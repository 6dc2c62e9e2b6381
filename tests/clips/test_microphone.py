"""The microphone of this machine: recorders that are programs, and inputs of FFmpeg."""

from __future__ import annotations

import math
import shutil
import time
from array import array
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from clip_sounds import heard, similarity

from audio_server.clips import microphone
from audio_server.clips.errors import ClipError
from audio_server.clips.microphone import NONE, open_microphone

TONE = [
    0.3 * math.sin(math.tau * (300 * n / 48_000 + (n / 48_000) ** 2 * 900)) for n in range(48_000)
]

Put = Callable[[str, str], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a recorder where programs are found; there is no other one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "sleep"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(microphone, "INPUTS", ())

    def put(name: str, script: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return put


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    path = tmp_path / "tone.raw"
    path.write_bytes(array("h", (round(32767 * one) for one in TONE)).tobytes())
    return path


def sounds_right(packets: list[bytes]) -> bool:
    sound, part = heard(packets), TONE[10_000:14_000]
    return max(similarity(part, sound[lag : lag + 4000]) for lag in range(9_900, 10_700, 4)) > 0.95


@pytest.mark.parametrize("name", ["parec", "arecord"])
def test_a_recorder_is_heard_and_then_gone(put: Put, tone: Path, tmp_path: Path, name: str) -> None:
    put(name, f"echo $$ > {tmp_path}/pid; cat {tone}; exec sleep 60")
    with open_microphone() as packets:
        assert sounds_right(list(islice(packets, 45)))
        process = Path("/proc") / (tmp_path / "pid").read_text().strip()
        assert process.exists()
    assert not process.exists()


def test_a_recorder_that_fails_gives_way(put: Put, tone: Path) -> None:
    put("parec", "echo 'Connection failure: Connection refused' >&2; exit 1")
    put("arecord", f"cat {tone}")
    with open_microphone() as packets:
        assert sounds_right(list(packets))


def test_no_recorder_hears_anything(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("parec", "echo 'Connection failure: Connection refused' >&2; exit 1")
    put("arecord", "exit 1")
    monkeypatch.setattr(microphone, "INPUTS", (("lavfi", "nothing"), ("nothing", "default")))
    with pytest.raises(ClipError) as raised, open_microphone():
        pass
    assert str(raised.value).startswith(
        "microphone: cannot be heard (parec: Connection failure: Connection refused; "
        "arecord: it recorded nothing; lavfi: "
    )


def test_there_is_no_recorder(put: Put) -> None:
    with pytest.raises(ClipError) as raised, open_microphone():
        pass
    assert str(raised.value) == f"microphone: {NONE}"


def test_an_input_of_ffmpeg_is_heard(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = "aevalsrc=0.3*sin(2*PI*(300*t+900*t*t)):s=44100:d=1"
    monkeypatch.setattr(microphone, "INPUTS", (("nothing", "default"), ("lavfi", wave)))
    with open_microphone() as packets:
        assert sounds_right(list(packets))


@pytest.mark.parametrize("begin", ["", "trap '' TERM; "])
def test_a_recorder_that_hangs_is_ended(
    put: Put, tone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    for name in ("SILENT_S", "END_S"):
        monkeypatch.setattr(microphone, name, 0.1)
    put("parec", f"{begin}echo $$ > {tmp_path}/pid; cat {tone}; exec sleep 60")
    begun = time.monotonic()
    with open_microphone() as packets:
        assert sounds_right(list(packets))
    assert time.monotonic() - begun < 40  # it would go on for a minute
    assert not (Path("/proc") / (tmp_path / "pid").read_text().strip()).exists()


def test_a_recorder_that_says_nothing_gives_way(
    put: Put, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "FIRST_S", 1.0)  # time enough for the other one
    put("parec", "exec sleep 60")
    put("arecord", f"cat {tone}")
    with open_microphone() as packets:
        assert sounds_right(list(packets))
