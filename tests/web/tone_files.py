"""Sound files for tests of pages."""

from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path

RATE_HZ = 48_000


def write_tone(path: Path, hertz: float, length_s: float) -> None:
    """A WAV file of a tone."""
    moments = (index / RATE_HZ for index in range(round(RATE_HZ * length_s)))
    samples = array("h", (round(16000 * math.sin(math.tau * hertz * t)) for t in moments))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
