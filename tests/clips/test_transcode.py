"""What comes out is the clip: whole, in step, as loud as it was, from any format."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from clip_folder import load_one
from clip_sounds import (
    DELAY,
    RATE_HZ,
    chirp,
    heard,
    packets_for,
    pcm_frame,
    rms,
    sent,
    similarity,
    write_sound,
)

from audio_server.clips.clip import Clip
from audio_server.clips.encoded_clip import Source
from audio_server.clips.opus import is_sendable

LENGTH_S = 1.234
IDEAL = chirp(RATE_HZ, LENGTH_S)

FORMATS = {
    "8 kHz u8": ("a.wav", "pcm_u8", 8_000, "mono"),
    "44.1 kHz stereo": ("a.wav", "pcm_s16le", 44_100, "stereo"),
    "5.1": ("a.wav", "pcm_s24le", 48_000, "5.1"),
    "float at 192 kHz": ("a.wav", "pcm_f32le", 192_000, "mono"),
    "7.1 flac": ("a.flac", "flac", 96_000, "7.1"),
    "mp3": ("a.mp3", "libmp3lame", 44_100, "stereo"),
    "a-law": ("a.wav", "pcm_alaw", 8_000, "mono"),
    "au": ("a.au", "pcm_s16be", 22_050, "mono"),
    "stereo opus": ("a.opus", "libopus", 48_000, "stereo"),
}


def sound_of(clip: Clip) -> list[float]:
    return heard([packet.data for packet in sent(clip)])


@pytest.mark.parametrize(("file", "codec", "rate_hz", "layout"), FORMATS.values(), ids=FORMATS)
async def test_what_comes_out_is_the_clip(
    tmp_path: Path, file: str, codec: str, rate_hz: int, layout: str
) -> None:
    samples = chirp(rate_hz, LENGTH_S)
    path = write_sound(tmp_path / file, samples, codec=codec, rate_hz=rate_hz, layout=layout)
    clip = await load_one(path)
    sound = sound_of(clip)

    assert clip.packets == packets_for(LENGTH_S * RATE_HZ)
    assert all(is_sendable(packet.data) for packet in sent(clip))
    assert similarity(sound[DELAY:], IDEAL) > 0.98
    assert rms(sound) == pytest.approx(rms(IDEAL), rel=0.1)
    channels = av.AudioLayout(layout).nb_channels
    expected = codec.removeprefix("lib").removesuffix("lame")
    assert clip.source == Source(expected, rate_hz, channels, passed_through=False)


@pytest.mark.parametrize("file", ["a.wav", "a.opus"])
async def test_a_wrong_clip_would_be_noticed(tmp_path: Path, file: str) -> None:
    """The measure of the other tests tells sounds, and lags, apart."""
    codec = {"a.wav": "pcm_s16le", "a.opus": "libopus"}[file]
    sound = sound_of(await load_one(write_sound(tmp_path / file, IDEAL, codec=codec)))
    assert similarity(sound[DELAY:], IDEAL) > 0.98
    assert similarity(sound[DELAY + 480 :], IDEAL) < 0.5
    assert similarity(sound[DELAY:], IDEAL[::-1]) < 0.5


@pytest.mark.parametrize("samples", [1, 647, 648, 649, 960, 1607, 1608, 1609, 48_000])
async def test_length_is_exact_to_a_frame(tmp_path: Path, samples: int) -> None:
    clip = await load_one(write_sound(tmp_path / "a.wav", IDEAL[:samples]))
    assert clip.packets == packets_for(samples)
    assert clip.duration_s == pytest.approx(packets_for(samples) * 0.02)


@pytest.mark.parametrize("samples", [4700, 4800, 4801, 5447, 5448, 5449])
async def test_nothing_is_cut_off_and_the_rest_is_silence(tmp_path: Path, samples: int) -> None:
    """The last 5 ms are loud: they are heard in full, and then there is nothing."""
    quiet = [0.0] * (samples - 240)
    sound = sound_of(await load_one(write_sound(tmp_path / "a.wav", quiet + IDEAL[9600:9840])))
    end = DELAY + samples
    assert rms(sound[end - 240 : end]) == pytest.approx(rms(IDEAL[9600:9840]), rel=0.15)
    assert all(abs(value) < 0.25 for value in sound[end + 120 :])
    assert rms(sound[: end - 240 - 480]) < 0.01


async def test_silence_is_sound_too(tmp_path: Path) -> None:
    """No packet is empty, or of one byte, which decoders may take for a loss."""
    silence = [0.0] * RATE_HZ
    clip = await load_one(write_sound(tmp_path / "a.wav", IDEAL + silence))
    assert min(len(packet.data) for packet in sent(clip)) >= 3
    assert rms(sound_of(clip)[-40_000:]) == 0


async def test_two_loud_channels_do_not_clip(tmp_path: Path) -> None:
    """Mixing down keeps the level: both channels at full scale stay just that."""
    loud = [1.9 * value for value in IDEAL]
    sound = sound_of(await load_one(write_sound(tmp_path / "a.wav", loud, layout="stereo")))
    assert similarity(sound[DELAY:], loud) > 0.98
    assert rms(sound) == pytest.approx(rms(loud), rel=0.05)


@pytest.mark.parametrize("channel", [0, 1])
async def test_every_channel_is_mixed_in(tmp_path: Path, channel: int) -> None:
    both = [value if side == channel else 0.0 for value in IDEAL for side in (0, 1)]
    path = tmp_path / "a.wav"
    with av.open(path, "w") as output:
        stream = output.add_stream("pcm_s16le", RATE_HZ, layout="stereo")
        output.mux(stream.encode(pcm_frame(both, RATE_HZ, "stereo")))
    sound = sound_of(await load_one(path))
    assert similarity(sound[DELAY:], IDEAL) > 0.98
    assert rms(sound) == pytest.approx(rms(IDEAL) / 2, rel=0.1)


async def test_video_is_ignored_and_the_default_sound_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as output:
        video = output.add_stream("mpeg4", 10, width=64, height=48, pix_fmt="yuv420p")
        other = output.add_stream("flac", RATE_HZ, layout="mono")
        wanted = output.add_stream("flac", RATE_HZ, layout="mono")
        other.disposition = av.stream.Disposition(0)
        wanted.disposition = av.stream.Disposition.default
        output.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
        output.mux(other.encode(pcm_frame(IDEAL[::-1], RATE_HZ, "mono")))
        output.mux(wanted.encode(pcm_frame(IDEAL, RATE_HZ, "mono")))
        for stream in (video, other, wanted):
            output.mux(stream.encode(None))
    clip = await load_one(path)
    assert clip.packets == packets_for(len(IDEAL))
    assert similarity(sound_of(clip)[DELAY:], IDEAL) > 0.98


async def test_sound_that_changes_its_shape_on_the_way(tmp_path: Path) -> None:
    """MP3 frames of two kinds in a row, as when files were simply put together."""
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3_frames(tmp_path, 44_100, "stereo") + mp3_frames(tmp_path, 48_000, "mono"))
    clip = await load_one(path)
    assert clip.duration_s == pytest.approx(2.0, abs=0.15)
    assert rms(sound_of(clip)[60_000:90_000]) == pytest.approx(rms(IDEAL), rel=0.15)


def mp3_frames(folder: Path, rate_hz: int, layout: str) -> bytes:
    """A second of MP3 without a head that says how long it is."""
    path = write_sound(
        folder / ".part",
        chirp(rate_hz, 1.0),
        codec="libmp3lame",
        rate_hz=rate_hz,
        layout=layout,
        container="mp3",
        container_options={"write_xing": "0", "id3v2_version": "0"},
    )
    return path.read_bytes()


async def test_bit_rate_is_sensible(tmp_path: Path) -> None:
    clip = await load_one(write_sound(tmp_path / "a.wav", IDEAL))
    assert 40_000 < clip.bit_rate_bps < 100_000
    assert clip.sound_bytes == sum(len(packet.data) for packet in sent(clip))
