"""Text that a command speaks: commands that do, and those that do not."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from audio_server.clips import speech
from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipTooLarge, NotSound
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.sounds import chime_packets, with_chime
from audio_server.clips.speech import CannotSpeak, SpeechFailed, speak
from audio_server.wire.audio import SILENCE

HAS_ESPEAK = shutil.which("espeak-ng") is not None


async def spoken(command: Sequence[str], text: str = "Dinner is ready.") -> Clip:
    return await speak(command, text, decoding=trio.CapacityLimiter(1))


def python(code: str) -> Sequence[str]:
    return [sys.executable, "-c", code]


@pytest.mark.skipif(not HAS_ESPEAK, reason="espeak-ng is not installed")
async def test_espeak_speaks() -> None:
    clip = await spoken(["espeak-ng", "--stdin", "--stdout"], "Dinner is ready.\nCome down.")
    assert clip.name == "Dinner is ready. Come down."
    assert 1.0 < clip.duration_s < 6.0
    assert clip.bit_rate_bps > 10_000


async def test_the_text_is_on_standard_input_and_never_in_a_shell(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    (tmp_path / "sound.opus").write_bytes(opus_bytes([SILENCE] * 50))
    code = (
        f"import sys; open({str(heard)!r}, 'wb').write(sys.stdin.buffer.read());"
        f"sys.stdout.buffer.write(open({str(tmp_path / 'sound.opus')!r}, 'rb').read())"
    )
    text = "-v; $(touch /tmp/x) `id`\n\x1b[2J Grüße\0 & done"
    clip = await spoken(python(code), text)
    assert clip.packets == 50
    assert heard.read_text() == "-v; $(touch /tmp/x) `id` [2J Grüße & done\n"


async def test_a_command_that_is_not_there_is_named_with_the_remedy() -> None:
    with pytest.raises(CannotSpeak) as caught:
        await spoken(["nonesuch-tts"])
    expected = "nonesuch-tts: cannot be run (No such file or directory); "
    assert str(caught.value) == f"{expected}install it, or set tts_command"


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        ("raise SystemExit(3)", SpeechFailed, "failed with status 3; the server's log has more"),
        ("", SpeechFailed, "has made no sound of the text"),
        ("print('no sound at all' * 99)", NotSound, "cannot be read as sound"),
        (
            "import os\nwhile True: os.write(1, bytes(1 << 16))",
            ClipTooLarge,
            "is larger than",
        ),
    ],
)
async def test_a_command_that_makes_no_sound(
    monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception], reason: str
) -> None:
    monkeypatch.setattr(speech, "SPEECH_MAX_BYTES", 1 << 20)
    with pytest.raises(error, match=reason):
        await spoken(python(code))


async def test_messages_of_the_command_do_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / "sound.opus").write_bytes(opus_bytes([SILENCE] * 5))
    code = (
        "import sys; sys.stderr.write('warning\\n' * 100_000);"
        f"sys.stdout.buffer.write(open({str(tmp_path / 'sound.opus')!r}, 'rb').read())"
    )
    assert (await spoken(python(code))).packets == 5


async def test_a_command_that_hangs_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(speech, "SPEECH_S", 1.0)
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    with pytest.raises(SpeechFailed, match="has not spoken the text within 1 s"):
        await spoken(python(code))
    assert [pid for pid in pids.read_text().split() if is_running(int(pid))] == []


async def test_a_cancel_kills_the_command(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    with trio.move_on_after(20) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(spoken, python(code))
            await trio.to_thread.run_sync(wait_written, pid)
            scope.cancel()
    assert not is_running(int(pid.read_text()))


def wait_written(path: Path) -> None:
    for _ in range(1000):
        if path.exists() and path.read_text():
            return
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return False
        if state == "Z":
            return False
        time.sleep(0.01)
    return True


async def test_a_chime_comes_before_the_sound() -> None:
    sound = Clip.from_packets("note", [b"\xf8ab", b"\xf8cd"])
    both = await with_chime(sound)
    assert both.name == "note"
    assert list(both.sound()) == [*chime_packets(), b"\xf8ab", b"\xf8cd"]
    assert len(chime_packets()) == 61


async def test_a_chime_before_an_hour_of_sound_is_refused() -> None:
    sound = Clip.from_packets("hour", [SILENCE] * 30_001)
    with pytest.raises(ClipTooLarge, match="is longer than 600 s"):
        await with_chime(sound)
