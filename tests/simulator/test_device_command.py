"""`audio-device` as its users run it: words in, lines and an exit status out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import pytest
import trio
from opus_sound import tone
from stub_server import StubService
from tcp_server import in_thread, listening, serving, serving_clips

from audio_server.clips.opus_decoder import OpusDecoder
from audio_server.simulator import cli, speaker

pytestmark = pytest.mark.usefixtures("logs_as_they_were")

NOBODY = ("--port", "1")
PATIENT = ("--tolerance-ms", "500")
"""Where a verdict is asked for, but the machine is not the one that is judged."""


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        cli.main(argv)
    out, err = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, out, err


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("--script", "connect jump"), "there is no step 'jump'"),
        (("--script", "conect"), "there is no step 'conect'; did you mean connect?"),
        (("localhost",), "Unknown argument: localhost (where the server is: --host, --port)"),
        (("--script", "connect", *NOBODY), "Connection refused: no server listens there"),
        (("--script", "mode"), "begin with connect"),
        (("--script", "connect", *NOBODY), "127.0.0.1:1"),
        (("--id", "not this", "--script", "connect"), "1-64 characters"),
        (("--port", "0"), "--port"),
        (("--volume", "3"), "--volume"),
        (("--modes", "0", "--script", "connect"), "--modes"),
        (("--script", "connect", "--record", "a.mp3"), "a recording is .opus or .wav"),
        (("--script", "connect", "--pcm", "/no/such/file"), "/no/such/file"),
        (("--script", "connect", "--devices", "2", "--pcm", "-"), "for one device"),
        (("--script", "connect", "--pcm", "--play"), "a file is needed"),
        ((), "no terminal to draw on"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], complaint: str
) -> None:
    status, out, err = run(capsys, *argv)
    assert (status, out) == (cli.USAGE, "")
    assert err.startswith("audio-device: ")
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_help_names_every_step_and_flag(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--help")
    assert status == 0
    for word in ("--script", "--record", "--pcm", "--devices", "until-end", "random:SECONDS"):
        assert word in out


def test_help_loads_nothing_heavy() -> None:
    probe = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from audio_server.simulator.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'trio', 'av', 'grpclib', 'google'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "[]"


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_scripted", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["--script", "connect"])


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_scripted", interrupt)
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--script", "connect"])
    assert leaving.value.code == cli.INTERRUPTED


def test_a_recording_is_not_begun_for_a_script_that_is_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "a.opus"
    assert run(capsys, "--script", "connect jump", "--record", str(file))[0] == cli.USAGE
    assert not file.exists()


def test_a_contract_that_is_kept_is_status_0(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sound, file = tone(20), tmp_path / "a.opus"
    with in_thread(lambda: serving_clips(sound, sound, sound, sound, sound)) as port:
        script = "connect mode play until-end"
        argv = ("--port", str(port), "--script", script, "--record", str(file), "--id", "hall")
        status, out, err = run(capsys, *argv, *PATIENT)
    assert (status, err) == (cli.KEPT, "")
    assert out.startswith("hall: 1 connection, ")
    assert "take 1 at " in out
    assert out.endswith("20 packets (0.40 s), by itself\ncontract kept\n")
    with av.open(str(file)) as container:
        assert [bytes(packet) for packet in container.demux() if packet.size] == sound


def test_a_contract_that_is_broken_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(lambda: serving(StubService())) as port:
        argv = ("--port", str(port), "--script", "connect play", "--devices", "2", "--trace")
        status, out, err = run(capsys, *argv)
    assert status == cli.BROKEN
    assert out.count("Play was pressed, but no take started (Play starts the clip)") == 2
    assert "contract broken 2 times" in out
    assert "Play" in err


GOAWAY = b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x0c\7\0\0\0\0\0" + b"\0\0\0\0\0\0\0\x0bwhat"


async def say_goaway(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(GOAWAY)
    await trio.sleep_forever()


def test_faults_of_the_server_leave_standard_output_to_the_sound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with in_thread(lambda: listening(say_goaway)) as port:
        status, out, err = run(capsys, "--port", str(port), "--script", "connect", "--pcm", "-")
    assert (status, out) == (cli.BROKEN, "")
    assert "ENHANCE_YOUR_CALM" in err
    assert "GOAWAY" not in err


def test_sound_goes_to_a_file_and_to_a_player(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player, played, pcm = tmp_path / "player", tmp_path / "played", tmp_path / "pcm"
    player.write_text(f"#!/bin/sh\nexec cat > {played}\n")
    player.chmod(0o755)
    monkeypatch.setattr(speaker, "PLAYERS", ("false", f"{player} -"))
    sound = tone(10)
    with in_thread(lambda: serving_clips(sound, sound, sound, sound, sound)) as port:
        argv = ("--port", str(port), "--script", "connect mode wait:0.4 play until-end")
        status, _, _ = run(capsys, *argv, *PATIENT, "--pcm", str(pcm), "--play")
    assert status == cli.KEPT
    heard = b"".join(map(OpusDecoder().decode, sound))
    assert heard in pcm.read_bytes()
    assert heard in played.read_bytes()


def test_a_script_can_take_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sound, file = tone(50), tmp_path / "device.svg"
    with in_thread(lambda: serving_clips(sound, sound, sound, sound, sound)) as port:
        script = f"connect mode play wait:0.2 picture:{file}"
        argv = ("--port", str(port), "--id", "hall", "--script", script)
        status, _, _ = run(capsys, *argv, *PATIENT)
    assert status == cli.KEPT
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "hall" in text
