"""What cannot be a clip is an error of one line that names the file; FFmpeg says nothing."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from clip_sounds import chirp, write_sound

from audio_server.clips.errors import ClipError
from audio_server.clips.loader import load_clips
from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE


def junk(size: int) -> bytes:
    """Bytes without a pattern, the same in every run."""
    state, out = 1, bytearray()
    for _ in range(size):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        out.append(state >> 16 & 0xFF)
    return bytes(out)


def picture(path: Path) -> None:
    path.write_bytes(b"P6\n1 1\n255\n\0\0\0")


def no_samples(path: Path) -> None:
    write_sound(path, [], container="wav")


def header_only(path: Path) -> None:
    write_sound(path, chirp(48_000, 0.1), container="wav")
    path.write_bytes(path.read_bytes()[:40])


def playlist(path: Path) -> None:
    path.write_text("ffconcat version 1.0\nfile /etc/hostname\n")


def list_of_neighbours(path: Path) -> None:
    path.write_text("ffconcat version 1.0\nfile a.wav\n")


def wav_of(*, kind: int = 1, rate_hz: int = 48_000) -> Callable[[Path], object]:
    """A WAV file of a few samples, in a format and at a rate that its head says."""

    def write(path: Path) -> None:
        head = struct.pack("<4sI4s", b"RIFF", 4036, b"WAVE")
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, 1, rate_hz, 2 * rate_hz % 2**32, 2, 16)
        path.write_bytes(head + form + struct.pack("<4sI", b"data", 4000) + junk(4000))

    return write


def call(path: Path) -> None:
    """A session description: it asks to listen to the network."""
    path.write_text("v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n")


def damaged(path: Path) -> None:
    write_sound(path, chirp(48_000, 2.0), codec="flac", container="flac")
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes(byte ^ 0x5A for byte in whole[200:]))


def mostly_invalid(path: Path) -> None:
    """Ogg Opus with fine headers, where most packets are none: odd bytes for two equal frames."""
    path.write_bytes(opus_bytes([SILENCE] * 5 + [bytes([30 << 3 | 1, 1, 2, 3])] * 30))


UNKNOWN = r"cannot be read as sound \(an unknown format"

BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "no samples": (no_samples, "has no sound in it"),
    "a picture": (picture, UNKNOWN),
    "junk": (lambda path: path.write_bytes(junk(20_000)), "(cannot be read as|has no) "),
    "text": (lambda path: path.write_text("Just a note.\n" * 50), "(cannot be read as|has no) "),
    "a head alone": (header_only, UNKNOWN),
    "a playlist": (playlist, UNKNOWN),
    "a list of neighbours": (list_of_neighbours, UNKNOWN),
    "an unknown codec": (wav_of(kind=0x7777), r"cannot be read as sound \(an unknown codec"),
    "hours of a few bytes": (wav_of(rate_hz=1), r"cannot be read as sound \(a sample rate of 1 Hz"),
    "too fast": (wav_of(rate_hz=10**9), r"cannot be read as sound \(a sample rate of 1000000000"),
    "a call": (call, UNKNOWN),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), r"cannot be read \(No such"),
    "damaged": (damaged, "has no sound in it"),
    "mostly invalid": (mostly_invalid, r"cannot be read as sound \(most of it"),
}


@pytest.mark.parametrize("name", ["b.wav", "b.opus", "b.flac", "b.MP3"])
@pytest.mark.parametrize("what", BAD)
async def test_bad_file_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, name: str
) -> None:
    make, reason = BAD[what]
    write_sound(tmp_path / "a.wav", chirp(48_000, 0.1))
    make(tmp_path / name)
    with pytest.raises(ClipError, match=f"^{tmp_path / name}: {reason}") as caught:
        await load_clips(tmp_path, cache=tmp_path / ".cache")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["b", "b.odd"])
@pytest.mark.parametrize("what", BAD)
async def test_bad_file_that_may_be_something_else_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str, name: str
) -> None:
    make, _ = BAD[what]
    write_sound(tmp_path / "a.wav", chirp(48_000, 0.1))
    make(tmp_path / name)
    clips = await load_clips(tmp_path, cache=tmp_path / ".cache")
    assert [clip.name for clip in clips] == ["a"]
    (record,) = caplog.records
    assert f": left out of the clips: {name} (" in record.getMessage()


async def test_folder_without_clips(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here yet")
    with pytest.raises(ClipError, match=f"^{tmp_path}: has no clips in it$"):
        await load_clips(tmp_path, cache=tmp_path / ".cache")


@pytest.mark.parametrize(("name", "reason"), [("gone", "No such file"), ("file", "Not a dir")])
async def test_no_folder(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ClipError, match=f"^{tmp_path / name}: no folder of clips .{reason}"):
        await load_clips(tmp_path / name, cache=tmp_path / ".cache")


async def test_first_of_several_is_told(tmp_path: Path) -> None:
    """Always the same one, whichever thread is done first."""
    (tmp_path / "b.wav").write_bytes(junk(200_000))
    (tmp_path / "c.wav").write_bytes(b"")
    with pytest.raises(ClipError, match=r"/b\.wav: "):
        await load_clips(tmp_path, cache=tmp_path / ".cache")


def test_name_with_a_line_break_stays_on_one_line() -> None:
    assert str(ClipError(Path("a\nb"), "is\r\nbad")) == "a b: is bad"
