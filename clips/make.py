"""Makes the clips that come with the server: `python clips/make.py`.

Needs the project's environment and `espeak-ng` on the path. Nothing here is random: the
same espeak-ng and libopus make the same bytes.
"""

from __future__ import annotations

import math
import subprocess
from array import array
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ

BIT_RATE_BPS = 40_000
LOUDNESS_RMS = 0.11
"""Every clip comes out at this loudness (about -19 dB of full scale) ..."""
PEAK = 0.84
"""... with no sample above this (-1.5 dB), so that the codec has room to overshoot."""
DUCK = 0.3
"""How much of the music is left while somebody speaks."""
TURN = math.tau / RATE_HZ

Sound = list[float]
Partials = list[tuple[float, float]]
"""What a note is made of: (multiple of its pitch, how loud)."""

SINE: Partials = [(1, 1.0)]
WARM: Partials = [(1, 1.0), (2, 0.35), (3, 0.12), (4, 0.05)]
SQUARE: Partials = [(n, 1 / n) for n in range(1, 16, 2)]
TRIANGLE: Partials = [(n, (-1) ** (n // 2) / n**2) for n in range(1, 12, 2)]
PING: Partials = [(1, 1.0), (2.76, 0.6), (5.4, 0.3), (8.93, 0.15)]
"""A struck bar of metal: its partials are no harmonics."""


def pitch_hz(midi: float) -> float:
    """Equal temperament: 69 is A at 440 Hz, a semitone is 1."""
    return 440.0 * 2 ** ((midi - 69) / 12)


def samples(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def note(midi: float, length_s: float, partials: Partials, *, decay_s: float = 1e9) -> Sound:
    """A note of steady pitch: 10 ms to come in, an exponential decay, 40 ms to go."""
    return glide(lambda _: pitch_hz(midi), length_s, partials, decay_s=decay_s)


def glide(
    hz: Callable[[float], float], length_s: float, partials: Partials, *, decay_s: float = 1e9
) -> Sound:
    """A note whose pitch at each moment (0 to 1 along its length) is `hz` of it."""
    size = samples(length_s)
    phases = list(running(TURN * hz(i / size) for i in range(size)))
    envelope = [fade(i, size) * math.exp(-i / RATE_HZ / decay_s) for i in range(size)]
    sound = [0.0] * size
    for multiple, gain in partials:
        sound = [
            s + gain * e * math.sin(multiple * p)
            for s, e, p in zip(sound, envelope, phases, strict=True)
        ]
    return sound


def running(steps: Iterator[float]) -> Iterator[float]:
    total = 0.0
    for step in steps:
        total += step
        yield total


def fade(index: int, size: int) -> float:
    return min(1.0, index / samples(0.01), (size - index) / samples(0.04))


def add(track: Sound, sound: Sound, at_s: float, gain: float = 1.0) -> None:
    """Mix `sound` into `track` from `at_s` on; what would hang over the end is dropped."""
    start = samples(at_s)
    for index, value in zip(range(start, len(track)), sound, strict=False):
        track[index] += gain * value


def silence(length_s: float) -> Sound:
    return [0.0] * samples(length_s)


def speak(text: str) -> Sound:
    """The voice, at 48 kHz and the clips' loudness."""
    command = ["espeak-ng", "-v", "en-gb", "-s", "150", "-p", "45", "--stdout", text]
    wave = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    resampler = AudioResampler("s16", "mono", RATE_HZ)
    sound = array("h")
    with av.open(BytesIO(wave), "r") as container:
        for frame in container.decode(audio=0):
            sound.frombytes(b"".join(map(pcm_bytes, resampler.resample(frame))))
    sound.frombytes(b"".join(map(pcm_bytes, resampler.resample(None))))
    return levelled([value / 32768 for value in sound])


def pcm_bytes(frame: AudioFrame) -> bytes:
    """The samples alone; the plane behind them may be longer."""
    return bytes(frame.planes[0])[: frame.samples * 2]


def levelled(sound: Sound) -> Sound:
    """At the loudness of all, measured where there is sound, or as loud as the peak allows."""
    loud = [value * value for value in sound if abs(value) > 0.005]
    rms = math.sqrt(sum(loud) / len(loud))
    gain = min(LOUDNESS_RMS / rms, PEAK / max(map(abs, sound)))
    return [value * gain for value in sound]


def with_voice(music: Sound, text: str, *at_s: float) -> Sound:
    """The music, ducked, with the voice over it at each of the moments."""
    voice = speak(text)
    gains = [1.0] * len(music)
    ramp = samples(0.25)
    for start in map(samples, at_s):
        for index in range(max(0, start - ramp), min(len(music), start + len(voice) + ramp)):
            outside = max(start - index, index - start - len(voice), 0) / ramp
            gains[index] = min(gains[index], DUCK + (1 - DUCK) * outside)
    mixed = [value * gain for value, gain in zip(levelled(music), gains, strict=True)]
    for moment in at_s:
        add(mixed, voice, moment, 1.2)
    return levelled(mixed)


def home() -> Sound:
    """A warm chord that opens slowly, and a doorbell."""
    music = silence(7)
    for index, midi in enumerate((48, 55, 60, 64, 67)):
        add(music, note(midi, 6.9 - 0.1 * index, WARM, decay_s=3.5), 0.1 * index, 0.5)
    for at_s in (0.8, 5.0):
        add(music, note(88, 1.5, SINE, decay_s=0.4), at_s, 0.6)
        add(music, note(84, 1.8, SINE, decay_s=0.5), at_s + 0.45, 0.6)
    return with_voice(music, "Home. Mode zero.", 2.2)


def square() -> Sound:
    """Square waves, four to the bar, up and down the corners of a chord."""
    music = silence(8)
    for beat, midi in zip(range(32), (57, 60, 64, 69, 69, 64, 60, 57) * 4, strict=True):
        low = midi - (2 if beat // 8 % 2 else 0)
        add(music, note(low, 0.2, SQUARE, decay_s=0.3), 0.25 * beat, 0.6 if beat % 4 else 1.0)
    return with_voice(music, "Square. Mode one.", 1.0, 5.0)


def rhomboid() -> Sound:
    """Pitches that slide up and down again, each against its mirror image."""
    music = silence(8)
    for index, base in zip(count(), (52, 55, 50, 52)):
        for sign, gain in ((1, 0.7), (-1, 0.5)):
            slide = glide(diamond(base + 12, 12 * sign), 2.0, WARM)
            add(music, slide, 2.0 * index, gain)
    return with_voice(music, "Rhomboid. Mode two.", 0.9, 4.9)


def diamond(base: float, reach: float) -> Callable[[float], float]:
    """From `base` by `reach` semitones to the farthest corner, and back."""
    return lambda at: pitch_hz(base + reach * (1 - abs(2 * at - 1)))


def triangle() -> Sound:
    """A waltz on triangle waves, and a triangle that is struck on every first beat."""
    music = silence(8.1)
    tune = (72, 76, 79, 77, 76, 74, 71, 74, 79, 72, 76, 72, 77, 81, 84, 83, 79, 74, 72, 76, 79)
    for beat, midi in enumerate(tune[:18]):
        add(music, note(midi, 0.42, TRIANGLE, decay_s=0.5), 0.45 * beat, 0.9)
        if beat % 3 == 0:
            add(music, note(100, 1.3, PING, decay_s=0.35), 0.45 * beat, 0.25)
            add(music, note(midi - 24, 0.6, TRIANGLE), 0.45 * beat, 0.7)
    return with_voice(music, "Triangle. Mode three.", 1.2, 5.2)


def circle() -> Sound:
    """Once round the circle of fifths, for more than a minute, so that Stop means something."""
    music = silence(72)
    for step in range(12):
        root = 48 + 7 * step % 12
        for part, midi in enumerate((root, root + 7, root + 16)):
            chord = swell(note(midi, 7.5, WARM), 2.5)
            add(music, chord, 6 * step, 0.5 - 0.1 * part)
        for turn in range(12):
            around = root + 24 + (0, 4, 7, 12, 7, 4)[turn % 6]
            add(music, note(around, 0.9, SINE, decay_s=0.3), 6 * step + 0.5 * turn, 0.3)
    return with_voice(music, "Circle. Mode four.", 1.5, 19.5, 37.5, 55.5)


def swell(sound: Sound, ramp_s: float) -> Sound:
    """Let `sound` come and go slowly."""
    size, ramp = len(sound), samples(ramp_s)
    return [value * min(1.0, i / ramp, (size - i) / ramp) for i, value in enumerate(sound)]


def write(path: Path, sound: Sound) -> None:
    """Encode and write, with a short fade at the end."""
    encoder = OpusEncoder(BIT_RATE_BPS)
    fading = [value * min(1.0, (len(sound) - i) / samples(0.3)) for i, value in enumerate(sound)]
    packets: list[bytes] = []
    for start in range(0, len(fading), PACKET_SAMPLES):
        packets += encoder.push(pcm_frame(fading[start : start + PACKET_SAMPLES]))
    packets += encoder.finish()
    path.write_bytes(opus_bytes(packets))


def pcm_frame(sound: Sound) -> AudioFrame:
    frame = AudioFrame("s16", "mono", len(sound))
    frame.sample_rate = RATE_HZ
    frame.planes[0].update(array("h", (round(value * 32767) for value in sound)).tobytes())
    return frame


def main() -> None:
    for mode, make in enumerate((home, square, rhomboid, triangle, circle)):
        write(Path(__file__).parent / f"{mode}-{make.__name__}.opus", make())


if __name__ == "__main__":
    main()
