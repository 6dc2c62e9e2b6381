"""A device hears of an Ogg Opus file what the container says is to be heard, and FFmpeg plays."""

from __future__ import annotations

import struct
import subprocess
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from clip_folder import load_one
from clip_sounds import (
    DELAY,
    chirp,
    heard,
    ogg_edited,
    ogg_packets,
    ogg_pages,
    ogg_sealed,
    rms,
    sent,
    similarity,
    write_sound,
)

from audio_server.clips.clip import Clip
from audio_server.clips.ogg import opus_bytes

SOUND = chirp(48_000, 1.3)


def ffmpeg(*args: object, data: bytes = b"") -> bytes:
    """The `ffmpeg` of the machine: another version than the server's, so a judge of its own."""
    command = ["ffmpeg", "-v", "error", *map(str, args)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def played(data: bytes) -> list[float]:
    """What FFmpeg plays of a file of one link."""
    raw = ffmpeg("-i", "-", "-ac", 1, "-ar", 48_000, "-f", "s16le", "-", data=data)
    return [sample / 32768 for sample in array("h", raw)]


def opus(path: Path, layout: str = "mono", start: int = 0, stop: int | None = None) -> bytes:
    return write_sound(
        path, SOUND[start:stop], codec="libopus", layout=layout, container="ogg"
    ).read_bytes()


def with_head(data: bytes, at: int, form: str, value: int) -> bytes:
    head = ogg_packets(data)[0]
    return ogg_edited(data, head, head[:at] + struct.pack(form, value) + head[at + 2 :])


def pre_skip(samples: int) -> Callable[[bytes], bytes]:
    return lambda data: with_head(data, 10, "<H", samples)


def gain(db: float) -> Callable[[bytes], bytes]:
    return lambda data: with_head(data, 16, "<h", round(db * 256))


def ends(samples: int) -> Callable[[bytes], bytes]:
    """The last page's granule position, moved."""

    def edit(data: bytes) -> bytes:
        *pages, (head, body) = ogg_pages(data)
        granule = int.from_bytes(head[6:14], "little", signed=True) + samples
        last = ogg_sealed(head[:6] + granule.to_bytes(8, "little", signed=True) + head[14:], body)
        return b"".join(head + body for head, body in pages) + last

    return edit


PASSED = {
    "as it is": lambda data: data,
    "a delay of 120 samples": pre_skip(120),
    "a resampler's delay too": pre_skip(356),
    "an end within its last packet": ends(-200),
    "no end": ends(5000),
}
ENCODED = {
    "a start of half a second that is dropped": pre_skip(24_000),
    "a start of 80 ms that is dropped": pre_skip(3840),
    "a start of a packet that is dropped": pre_skip(960),
    "an end of several packets that is dropped": ends(-7000),
    "an end of a packet that is dropped": ends(-960),
    "louder": gain(4),
    "quieter": gain(-12),
    "quieter, and both ends dropped": lambda data: gain(-6)(pre_skip(9000)(ends(-2000)(data))),
}


@pytest.mark.parametrize("how", [*PASSED, *ENCODED])
async def test_a_device_hears_what_ffmpeg_plays(tmp_path: Path, how: str) -> None:
    data = (PASSED | ENCODED)[how](opus(tmp_path / ".part"))
    (tmp_path / "a.opus").write_bytes(data)
    clip = await load_one(tmp_path / "a.opus")
    assert clip.source is not None
    assert clip.source.passed_through == (how in PASSED)
    check_heard(clip, played(data), int.from_bytes(ogg_packets(data)[0][10:12], "little"))


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
async def test_other_layouts_too(tmp_path: Path, layout: str) -> None:
    data = pre_skip(24_000)(opus(tmp_path / ".part", layout))
    (tmp_path / "a.opus").write_bytes(data)
    check_heard(await load_one(tmp_path / "a.opus"), played(data), 24_000)


def check_heard(clip: Clip, expected: list[float], pre_skip: int) -> None:
    """Within a packet at each end, in step, and as loud."""
    assert clip.source is not None
    sound = heard([packet.data for packet in sent(clip)])
    lag = pre_skip if clip.source.passed_through else DELAY
    assert lag <= 480
    assert 0 <= len(sound) - lag - len(expected) < 960
    assert similarity(sound[lag:], expected) > 0.98
    assert rms(sound[lag : lag + len(expected)]) == pytest.approx(rms(expected), rel=0.05)


async def test_each_link_of_a_chain_is_heard_by_its_own_head(tmp_path: Path) -> None:
    """FFmpeg plays the links one by one; together they are the clip, without a hole."""
    attachments = [
        opus(tmp_path / ".a", stop=30_000),
        gain(-6)(pre_skip(5000)(opus(tmp_path / ".b", start=25_312))),
        ends(-4000)(opus(tmp_path / ".c", layout="stereo", stop=40_000)),
        pre_skip(10_000)(opus(tmp_path / ".d")),
    ]
    (tmp_path / "a.opus").write_bytes(b"".join(attachments))
    clip = await load_one(tmp_path / "a.opus")
    check_heard(clip, [sample for link in attachments for sample in played(link)], 0)


@pytest.mark.parametrize(
    "edit", [gain(-6), pre_skip(24_000), ends(-5000)], ids=["gain", "start", "end"]
)
async def test_a_later_link_is_judged_too(tmp_path: Path, edit: Callable[[bytes], bytes]) -> None:
    first, second = opus(tmp_path / ".a", stop=30_000), edit(opus(tmp_path / ".b", start=30_000))
    (tmp_path / "a.opus").write_bytes(first + second)
    clip = await load_one(tmp_path / "a.opus")
    assert clip.source is not None
    assert not clip.source.passed_through
    check_heard(clip, played(first) + played(second), 0)


@pytest.mark.parametrize("container", ["matroska", "webm", "mp4"])
async def test_what_other_containers_drop_is_not_heard(tmp_path: Path, container: str) -> None:
    data = with_head(opus(tmp_path / ".part"), 10, "<H", 24_000)
    (tmp_path / ".part.opus").write_bytes(data)
    path = tmp_path / "a.sound"
    ffmpeg("-i", tmp_path / ".part.opus", "-c", "copy", "-strict", -2, "-f", container, path)
    raw = ffmpeg("-i", path, "-ac", 1, "-f", "s16le", "-")
    expected = [sample / 32768 for sample in array("h", raw)]
    assert len(expected) < 41_000
    clip = await load_one(path)
    sound = heard([packet.data for packet in sent(clip)])
    assert len(sound) == pytest.approx(len(expected) + DELAY, abs=960)
    assert similarity(sound[DELAY:], expected) > 0.98


async def test_an_edit_list_of_mp4_is_obeyed(tmp_path: Path) -> None:
    source = write_sound(tmp_path / ".part.wav", SOUND, container="wav")
    path = tmp_path / "a.m4a"
    ffmpeg("-i", source, "-c:a", "aac", "-b:a", "128k", path)
    sound = heard([packet.data for packet in sent(await load_one(path))])
    assert similarity(sound[DELAY:], SOUND) > 0.98


# -- packets that no encoder writes


def padded(size: int) -> bytes:
    """A valid packet of 20 ms, mono, with so much padding (RFC 6716, section 3.2.5)."""
    return b"\xfb\x41" + b"\xff" * (size // 254) + bytes([size % 254]) + b"\xff\xfe" + bytes(size)


@pytest.mark.parametrize(
    ("size", "is_passed"), [(1267, True), (1268, False), (5000, False), (60_000, False)]
)
async def test_padded_packets_are_encoded_anew(tmp_path: Path, size: int, is_passed: bool) -> None:
    (tmp_path / "a.opus").write_bytes(opus_bytes([padded(size)] * 20))
    clip = await load_one(tmp_path / "a.opus")
    assert clip.source is not None
    assert clip.source.passed_through == is_passed
    assert max(len(packet.data) for packet in sent(clip)) <= 1276
