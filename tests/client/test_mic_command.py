"""`--mic` of `announce` and `live`, with a recorder that plays a file."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from client_run import Run
from fake_api import FakeServer

from audio_server.clips import microphone

MADE = {"id": "a1", "seconds": 2.0, "done": 1, "gone": [], "failed": {}}
CHANNEL = {"name": "radio", "mode": 5, "sending": False, "inserted": 0, "left_out": 0, "lost": 0}
RECORDER = f"""#!{sys.executable}
import sys, time
while True:
    sys.stdout.buffer.write(bytes(range(96)) * 20)
    sys.stdout.flush()
    time.sleep(0.02)
"""
"""Made-up sound, in real time, without an end."""


@pytest.fixture(autouse=True)
def recorder(tmp_path: Path, fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.answer = MADE
    program = tmp_path / "parec"
    program.write_text(RECORDER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def seconds_of(sound: bytes, tmp_path: Path) -> float:
    path = tmp_path / "sent.opus"
    path.write_bytes(sound)
    with av.open(path) as file:
        return sum(frame.samples for frame in file.decode(audio=0)) / 48_000


def test_so_many_seconds_are_announced(fake: FakeServer, run: Run, tmp_path: Path) -> None:
    said = run("announce", "--mic", "--seconds", "0.5", "hall", "--chime")
    assert said == (0, "announced on 1 device\n", "Recording.\n")
    ((name, sound),) = fake.sent
    assert name == "microphone"
    assert seconds_of(sound, tmp_path) == pytest.approx(0.5, abs=0.03)
    body = {"devices": ["hall"], "chime": True, "priority": 0, "sound": "s1"}
    assert fake.asked == [("POST", "/api/announce", body)]


@pytest.fixture
def announcing(fake: FakeServer) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`announce --mic` at a terminal, which records, and the terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "audio_server", "announce", "--mic", "hall"]
    with subprocess.Popen(
        command, stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"Recording. Enter ends it.\n"
        yield process, ours
        process.kill()
    os.close(ours)
    os.close(its)


@pytest.mark.parametrize("end", ["Enter", "Ctrl-C"])
def test_enter_or_an_interrupt_ends_the_recording(
    end: str, announcing: tuple[subprocess.Popen[bytes], int], fake: FakeServer, tmp_path: Path
) -> None:
    process, terminal = announcing
    time.sleep(0.3)
    assert process.poll() is None
    if end == "Enter":
        os.write(terminal, b"\n")
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"announced on 1 device\n", b"")
    assert seconds_of(fake.sent[0][1], tmp_path) >= 0.2


def test_no_terminal_is_no_enter(fake: FakeServer) -> None:
    command = [sys.executable, "-m", "audio_server", "announce", "--mic", "hall"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"Recording. Enter ends it.\n"
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_microphone_is_sent_to_a_channel(fake: FakeServer, run: Run, tmp_path: Path) -> None:
    fake.channels = [CHANNEL]
    program = tmp_path / "parec"
    program.write_text(RECORDER.replace("while True", "for _ in range(25)"))
    status, out, err = run("live", "radio", "--mic")
    assert (status, err) == (0, "Live. Ctrl-C ends it.\n")
    assert out == "radio: 0.5 s of sound were sent\n"
    ((name, sound),) = fake.sent
    assert name == "live/radio"
    assert seconds_of(sound, tmp_path) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (("announce", "--mic"), "which devices? Give their IDs, --tag NAME, or --all"),
        (("announce", "--mic", "--say", "x", "hall"), "give either --say or --mic"),
        (("announce", "bell", "hall", "--seconds", "1"), "--seconds: it is for --mic"),
        (("announce", "--mic", "hall", "--seconds", "0"), "--seconds"),
        (("live", "radio"), "give either a SOURCE (a file, a URL, or -) or --mic"),
        (("live", "radio", "x.flac", "--mic"), "give either a SOURCE"),
    ],
)
def test_wrong_usage(run: Run, argv: tuple[str, ...], error: str) -> None:
    status, out, err = run(*argv)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert error in err


def test_a_machine_without_a_microphone(
    fake: FakeServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "INPUTS", ())
    (tmp_path / "parec").unlink()
    fake.channels = [CHANNEL]
    for argv in (("announce", "--mic", "hall"), ("live", "radio", "--mic")):
        status, out, err = run(*argv)
        assert (status, out) == (2, "")
        assert err == f"audio-server: microphone: {microphone.NONE}\n"
    assert fake.sent == []
