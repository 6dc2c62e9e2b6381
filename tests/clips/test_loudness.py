"""Loudness by EBU R128: of clips as devices hear them, evened at encoding."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import pytest
import trio
from av.audio.frame import AudioFrame
from av.filter import Graph
from clip_sounds import DELAY, RATE_HZ, chirp, heard, packets_for, sent, similarity, write_sound

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.convert import opus_of_file
from audio_server.clips.loader import load_clips
from audio_server.clips.loudness import GAIN_MAX_DB, SILENCE_LUFS, LoudnessMeter, gain_db
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.repository import open_repository
from audio_server.clips.sounds import sound_of
from audio_server.wire.audio import SILENCE

TARGET = -16
PEAK = 0.92
"""-1 dB, and the ripple of the codec."""


def noise(length_s: float, loudness: float) -> list[float]:
    """As the noise of rain, with little above the band that Opus keeps."""
    random, level, sound = Random(1), 0.0, []
    for _ in range(round(length_s * RATE_HZ)):
        level += 0.2 * (random.uniform(-1, 1) - level)
        sound.append(2 * loudness * level)
    return sound


def speech(length_s: float, loudness: float) -> list[float]:
    """Words of 300 ms, and pauses as long."""
    tone = chirp(RATE_HZ, length_s)
    return [loudness * one * (index // 14_400 % 2 == 0) for index, one in enumerate(tone)]


def measured(sound: Sequence[float]) -> float:
    """The integrated loudness. Short sound goes on, as the standard knows no short block."""
    sound = [*sound] * (1 if len(sound) >= RATE_HZ else math.ceil(RATE_HZ / len(sound)))
    graph = Graph()
    entry = graph.add_abuffer(
        sample_rate=RATE_HZ, format="flt", layout="mono", time_base=Fraction(1, RATE_HZ)
    )
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    entry.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = AudioFrame("flt", "mono", len(sound))
    frame.sample_rate = RATE_HZ
    frame.planes[0].update(array("f", sound).tobytes())
    entry.push(frame)
    entry.push(None)
    loudness = -math.inf
    while True:
        try:
            loudness = float(sink.pull().metadata.get("lavfi.r128.I", loudness))
        except av.EOFError:
            return loudness


async def load_one(path: Path, loudness: int | None = TARGET) -> Clip:
    (clip,) = await load_clips(
        path.parent, cache=Cache(path.parent.parent / "cache", loudness=loudness)
    )
    return clip


def sound_in(clip: Clip) -> list[float]:
    return heard([packet.data for packet in sent(clip)])


@pytest.mark.parametrize("target", [-12, -16, -23, -31])
@pytest.mark.parametrize(
    "samples",
    [noise(3, 0.06), noise(3, 0.5), chirp(RATE_HZ, 3), speech(6, 0.1)],
    ids=["quiet", "loud", "tone", "speech"],
)
async def test_a_clip_is_as_loud_as_wanted(samples: list[float], target: int, folder: Path) -> None:
    path = write_sound(folder / "a.wav", samples)
    sound = sound_in(await load_one(path, target))
    assert measured(sound) == pytest.approx(target, abs=1)
    assert max(map(abs, sound)) <= PEAK


@pytest.mark.parametrize("length_s", [0.02, 0.1, 0.39, 0.5])
async def test_a_short_clip_is_as_loud_while_it_lasts(length_s: float, folder: Path) -> None:
    path = write_sound(folder / "a.wav", noise(length_s, 0.05))
    clip = await load_one(path)
    assert clip.packets == packets_for(length_s * RATE_HZ)
    sound = sound_in(clip)[DELAY : DELAY + round(length_s * RATE_HZ)]
    assert measured(sound) == pytest.approx(TARGET, abs=1)


@pytest.mark.parametrize("samples", [[0.0] * RATE_HZ, noise(1, 0.0001)], ids=["nothing", "hiss"])
async def test_silence_stays_silent(samples: list[float], folder: Path) -> None:
    sound = sound_in(await load_one(write_sound(folder / "a.wav", samples)))
    assert max(map(abs, sound)) < 0.003


async def test_the_sound_stays_in_step(folder: Path) -> None:
    tone = [0.1 * one for one in chirp(RATE_HZ, 1.234)]
    clip = await load_one(write_sound(folder / "a.flac", tone, codec="flac"))
    assert clip.packets == packets_for(len(tone))
    assert similarity(sound_in(clip)[DELAY:], tone) > 0.98


async def test_off_leaves_the_loudness_to_the_file(folder: Path) -> None:
    samples = noise(2, 0.05)
    path = write_sound(folder / "a.wav", samples)
    as_it_is = sound_in(await load_one(path, None))
    assert measured(as_it_is) == pytest.approx(measured(samples), abs=0.5)
    evened = await load_one(path)
    assert measured(sound_in(evened)) == pytest.approx(TARGET, abs=1)
    assert sound_in(await load_one(path, None)) == as_it_is  # each has its own entry in the cache
    assert len(list((folder.parent / "cache").iterdir())) == 2


async def test_plain_opus_stays_as_it_is(folder: Path) -> None:
    quiet = await load_one(write_sound(folder / "a.wav", noise(1, 0.02)), None)
    (folder / "a.wav").unlink()
    (folder / "a.opus").write_bytes(opus_bytes(list(quiet.sound())))
    assert list((await load_one(folder / "a.opus")).sound()) == list(quiet.sound())


async def test_opus_that_is_encoded_anew_is_evened(folder: Path) -> None:
    path = write_sound(folder / "a.opus", noise(2, 0.05), codec="libopus", layout="stereo")
    assert measured(sound_in(await load_one(path))) == pytest.approx(TARGET, abs=1)


async def test_uploads_and_announcements_are_evened(folder: Path) -> None:
    path = write_sound(folder / "a.wav", noise(2, 0.05))
    content = path.read_bytes()
    repository = await open_repository(folder, folder.parent / "cache", loudness=TARGET)

    async def body():
        yield content

    entry = await repository.upload("b.wav", body())
    assert measured(sound_in(repository.clips[entry.mode])) == pytest.approx(TARGET, abs=1)
    sound = await repository.receive_sound("c.wav", body())
    assert measured(sound_in(sound)) == pytest.approx(TARGET, abs=1)
    path = folder.parent / "d.wav"
    path.write_bytes(content)
    with path.open("rb") as file:
        as_it_is = await sound_of("d.wav", file)
    assert measured(sound_in(as_it_is)) < TARGET - 5
    assert await opus_of_file(path) != await opus_of_file(path, TARGET)


async def test_a_long_clip_takes_the_time_of_its_sound(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds that are measured put the deadline off, as sound does that comes."""
    path = write_sound(folder / "a.wav", noise(8, 0.05))
    seconds: list[float] = []
    from audio_server.clips import decoder

    class Watched(decoder._Answer):
        def take(self, kind, data):
            super().take(kind, data)
            seconds.append(self.measured_s)

    monkeypatch.setattr(decoder, "_Answer", Watched)
    await load_one(path)
    assert seconds[-1] == 8
    monkeypatch.setattr(decoder, "MAX_PACKETS", 5 * 50)
    (folder.parent / "cache").rename(folder.parent / "old")
    with pytest.raises(Exception, match="is longer than"):
        await load_one(path)
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("lufs", "gain"),
    [
        (-20, 4),
        (-10, -6),
        (-16.01, 0),
        (-60, GAIN_MAX_DB),
        (SILENCE_LUFS, 0),
        (-70, 0),
        (-math.inf, 0),
        (math.nan, 0),
    ],
)
def test_the_gain(lufs: float, gain: float) -> None:
    assert gain_db(lufs, TARGET) == gain


def test_nothing_is_no_sound() -> None:
    assert LoudnessMeter().finish() < SILENCE_LUFS


def test_packets_of_silence_are_silence() -> None:
    assert max(map(abs, heard([SILENCE] * 50))) == 0
