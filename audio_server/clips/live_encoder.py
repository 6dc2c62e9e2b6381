"""Sound of a file, a pipe or a URL encoded while it comes, for a live channel.

Runs in a process of the user's own, on sound of the user's own choice. FFmpeg gets bytes and opens
nothing by itself; a server never does even this (`decoder_process`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

import av
from av.audio.stream import AudioStream

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.errors import ClipError
from audio_server.clips.faults import Refused
from audio_server.clips.formats import OPTIONS
from audio_server.clips.web_source import StreamBroke, WebSource


def live_packets(name: str, file: BinaryIO) -> Iterator[bytes]:
    """Yield Opus packets (48 kHz, mono, 20 ms) as soon as their sound has come; blocks meanwhile.

    Packets of the source that do not decode are left out. Raises `ClipError` for a source without
    sound, or that breaks. `file` stays the caller's to close.
    """
    return _packets(name, lambda: av.open(file, "r", options=OPTIONS, metadata_errors="replace"))


def web_packets(name: str, source: WebSource) -> Iterator[bytes]:
    """Yield the packets of a URL. Raises `ClipError`; `StreamBroke` where a stream has ended that
    has no end of its own."""
    yield from _packets(name, lambda: _open_web(source))
    if not source.has_end:
        raise StreamBroke(name, "has ended")


def _open_web(source: WebSource) -> Any:
    return av.open(
        cast(BinaryIO, source.file),
        "r",
        options=source.options,
        metadata_errors="replace",
        io_open=source.open_part,
    )


def _packets(name: str, opened: Callable[[], Any]) -> Iterator[bytes]:
    try:
        with opened() as container:
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
        raise error.fault.error(name, error.number) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no sound that FFmpeg knows"
        raise ClipError(name, f"cannot be read ({reason})") from error
