"""Raw PCM as a sound file: a WAV header in front of it is all that it lacks."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO, Literal

SampleFormat = Literal["u8", "s16", "s24", "s32", "f32", "f64"]

# How recorders that are asked for a pipe may begin all the same: then it is no raw sound.
CONTAINERS = (b"RIFF", b".snd", b"OggS", b"fLaC", b"FORM")

PCM, FLOAT = 1, 3
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
MAX_SIZE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class RawSound:
    """How raw little-endian PCM is to be read."""

    rate_hz: int
    channels: int
    format: SampleFormat

    def wav_header(self, size_bytes: int) -> bytes:
        """The header of a WAV file with `size_bytes` of sound."""
        tag = FLOAT if self.format.startswith("f") else PCM
        bits = int(self.format[1:])
        block = self.channels * bits // 8
        what = (tag, self.channels, self.rate_hz, self.rate_hz * block, block, bits)
        size = min(size_bytes, MAX_SIZE - HEADER.size)
        riff_size = size + HEADER.size - 8
        return HEADER.pack(b"RIFF", riff_size, b"WAVE", b"fmt ", 16, *what, b"data", size)


@contextmanager
def as_sound_file(source: BinaryIO, raw: RawSound | None) -> Iterator[BinaryIO]:
    """What `source` has to say, as a file that can be read from any place.

    With `raw` it is taken for raw sound, unless it begins as a sound file does.
    """
    if raw is None and source.seekable():
        yield source
        return
    with TemporaryFile() as file:
        start = source.read(len(CONTAINERS[0]))
        header = raw if start not in CONTAINERS else None
        if header:
            file.write(header.wav_header(0))
        file.write(start)
        shutil.copyfileobj(source, file)
        if header:
            size_bytes = file.tell() - HEADER.size
            file.seek(0)
            file.write(header.wav_header(size_bytes))
        file.seek(0)
        yield file
