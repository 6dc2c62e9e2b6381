"""The microphone of this machine, as Opus packets.

The recorder of the sound system is asked first: it knows the microphone that the user has chosen.
Then come the inputs of FFmpeg, of which PyAV's packages have few, and which find no settings of
ALSA.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Final

import av
from av.audio.stream import AudioStream

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.errors import ClipError
from audio_server.clips.faults import Refused
from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ
from audio_server.clips.raw import RawEncoder

NAME: Final = "microphone"

PROGRAMS: Final = (
    ("parec", "--raw", "--format=s16le", f"--rate={RATE_HZ}", "--channels=1", "--latency-msec=20"),
    ("arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE_HZ), "-c", "1"),
)
"""Recorders of PulseAudio and PipeWire, and of ALSA; they write raw sound to standard output."""

INPUTS: Final = (("pulse", "default"), ("alsa", "default"), ("avfoundation", ":default"))
"""Inputs of FFmpeg and their microphones; those that it was built without are left out."""

NONE: Final = (
    "there is no recorder: install parec (pulseaudio-utils) or arecord (alsa-utils), "
    "or send the sound of another one through a pipe, with - in the place of --mic"
)

FIRST_S: Final = 5.0
"""How long a recorder has for its first sound: it may wake a device."""

SILENT_S: Final = 1.0
"""How long a recorder may give nothing after that: sound comes 50 times a second, silence too. A
Ctrl-C is obeyed between two pieces of sound, so it waits for no longer either."""

END_S: Final = 1.0

_PIECE_BYTES = 2 * PACKET_SAMPLES

Packets = Generator[bytes, None, None]


@contextmanager
def open_microphone() -> Iterator[Iterator[bytes]]:
    """Give packets (48 kHz, mono, 20 ms) as they come, for the block; each blocks for its sound.

    Raises `ClipError` where there is no microphone. The packets end where it is taken away, or
    gives nothing for `SILENT_S`. A recorder that was started is gone at the end of the block.
    """
    reasons: list[str] = []
    for packets in _sources(reasons):
        first = next(packets, None)
        if first is not None:
            try:
                yield _joined(first, packets)
            finally:
                packets.close()
            return
    raise ClipError(NAME, f"cannot be heard ({'; '.join(reasons)})" if reasons else NONE)


def _sources(reasons: list[str]) -> Iterator[Packets]:
    for argv in PROGRAMS:
        if shutil.which(argv[0]) is not None:
            yield _from_program(argv, reasons)
    for kind, device in INPUTS:
        if kind in av.formats_available:
            yield _from_input(kind, device, reasons)


def _joined(first: bytes, rest: Packets) -> Iterator[bytes]:
    yield first
    yield from rest


def _from_program(argv: tuple[str, ...], reasons: list[str]) -> Packets:
    encoder, is_heard = RawEncoder(rate_hz=RATE_HZ, channels=1, sample_format="s16"), False
    with TemporaryFile() as said, _started(argv, said.fileno()) as process:
        assert process.stdout is not None
        try:
            while data := _read(process.stdout.fileno(), SILENT_S if is_heard else FIRST_S):
                for packet in encoder.push(data):
                    is_heard = True
                    yield packet
        finally:
            _end(process)
        if not is_heard:
            said.seek(0)
            lines = said.read(4096).decode(errors="replace").strip().splitlines()
            reasons.append(f"{argv[0]}: {lines[-1] if lines else 'it recorded nothing'}")


def _read(descriptor: int, within_s: float) -> bytes:
    """Return the sound that has come; none at the end, or where none comes in time."""
    is_there, _, _ = select.select([descriptor], [], [], within_s)
    return os.read(descriptor, _PIECE_BYTES) if is_there else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a recorder to end, and end it where it does not."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _started(argv: tuple[str, ...], errors: int) -> subprocess.Popen[bytes]:
    """Start a recorder, which Ctrl-C does not reach: it ends with the packets."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )


def _from_input(kind: str, device: str, reasons: list[str]) -> Packets:
    encoder = OpusEncoder()
    try:
        with av.open(device, "r", format=kind) as container:
            stream = container.streams.best("audio")
            if isinstance(stream, AudioStream):
                for frame in container.decode(stream):
                    yield from encoder.push(frame)
    except (av.FFmpegError, OSError, ValueError, Refused) as error:
        reasons.append(f"{kind}: {getattr(error, 'strerror', None) or 'it cannot be read'}")
