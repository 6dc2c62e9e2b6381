"""Sound of a file, a pipe or a URL encoded while it comes, for a live channel.

Runs in a process of the user's own, on sound of the user's own choice: FFmpeg opens all that it
knows. A server never does this (`decoder_process`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import av
from av.audio.stream import AudioStream

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.errors import ClipError
from audio_server.clips.faults import Refused

_OPTIONS = {"fflags": "nobuffer", "reconnect": "1", "reconnect_streamed": "1"}


def live_packets(name: str, source: str | BinaryIO) -> Iterator[bytes]:
    """Yield Opus packets (48 kHz, mono, 20 ms) as soon as their sound has come; blocks meanwhile.

    Packets of the source that do not decode are left out. Raises `ClipError` for a source without
    sound, or that breaks.
    """
    try:
        with av.open(source, "r", options=_options(source), metadata_errors="replace") as container:
            stream = container.streams.best("audio")
            if not isinstance(stream, AudioStream):
                raise ClipError(name, "has no sound")
            encoder = OpusEncoder()
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.InvalidDataError:
                    continue
                for frame in frames:
                    yield from encoder.push(frame)
            yield from encoder.finish()
    except Refused as error:
        raise ClipError(name, str(error)) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no sound that FFmpeg knows"
        raise ClipError(name, f"cannot be read ({reason})") from error


def _options(source: str | BinaryIO) -> dict[str, str]:
    is_web = isinstance(source, str) and source.startswith(("http://", "https://"))
    return _OPTIONS if is_web else {}
