"""A sound file of any kind made into Opus packets: passed through or transcoded.

Imports FFmpeg, so it is imported only when there is something to read: a start from
the cache does without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from audio_server.clips.clip import Source
from audio_server.clips.encoded_clip import EncodedClip
from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.errors import ClipDamaged, ClipTooLarge, NotSound
from audio_server.clips.opus import is_sendable
from audio_server.wire.audio import PACKET_MS

_log = logging.getLogger(__name__)

# What is called a clip must not reach out, to the network or to other files, as a playlist would.
_OPTIONS = {"protocol_whitelist": "none"}


def ingest(
    path: Path | str,
    file: BinaryIO,
    *,
    checkpoint: Callable[[], None],
    max_packets: int | None = None,
) -> EncodedClip:
    """The sound of `file`, which stays the caller's to close; `path` is its name in errors.

    Takes the best audio stream (FFmpeg's choice: the default one, else the first).
    `checkpoint` is called once a packet and may raise to stop the work.
    Raises `ClipError` where there is nothing that can be played, and `ClipTooLarge` as soon as
    there would be more than `max_packets`.
    """
    check = _Check(path, checkpoint, max_packets)
    try:
        prepared = _pass_through(path, file, check) or _transcode(path, file, check)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ClipDamaged(path, _unreadable(error)) from error
    if not prepared.packets:
        raise ClipDamaged(path, "has no sound in it")
    return prepared


def _unreadable(error: Exception) -> str:
    return f"cannot be read as sound ({getattr(error, 'strerror', None) or error})"


@dataclass(frozen=True, slots=True)
class _Check:
    """What is asked once a packet: whether to go on."""

    path: Path | str
    checkpoint: Callable[[], None]
    max_packets: int | None

    def __call__(self, packets: Sequence[bytes]) -> None:
        self.checkpoint()
        if self.max_packets is not None and len(packets) > self.max_packets:
            minutes = self.max_packets * PACKET_MS / 60_000
            raise ClipTooLarge(self.path, f"is longer than {minutes:g} minutes")


def _pass_through(path: Path | str, file: BinaryIO, check: _Check) -> EncodedClip | None:
    """The packets as they are in the file, or None where one of them cannot be sent.

    Each is decoded once, to nothing: a packet that is not valid Opus breaks the audio of
    a stock device for the rest of its connection.
    """
    packets: list[bytes] = []
    with _open_audio(path, file) as (container, stream):
        if container.format.name != "ogg" or not _is_plain_opus(stream):
            return None
        decoder = av.CodecContext.create("libopus", "r")
        decoder.layout = "mono"
        for packet in _demux(container, stream):
            check(packets)
            data = bytes(packet)
            if not (is_sendable(data) and _decodes(decoder, data)):
                return None
            packets.append(data)
        check(packets)
        return EncodedClip(packets, _describe(stream, passed_through=True))


def _is_plain_opus(stream: AudioStream) -> bool:
    """Opus that is mono, and whose header asks for no gain, which a device knows nothing of.

    OpusHead is 8 bytes of magic, version, channels, pre-skip (2), rate (4), gain (2), ...
    (RFC 7845, section 5.1).
    """
    head = stream.codec_context.extradata or b""
    return head[:8] == b"OpusHead" and head[9] == 1 and head[16:18] == b"\0\0"


def _decodes(decoder: AudioCodecContext, data: bytes) -> bool:
    try:
        return bool(decoder.decode(av.Packet(data)))
    except av.InvalidDataError:
        return False


def _transcode(path: Path | str, file: BinaryIO, check: _Check) -> EncodedClip:
    """Decode, mix down, resample and encode. What does not decode is left out, as players do."""
    encoder = OpusEncoder()
    packets: list[bytes] = []
    good = broken = 0
    with _open_audio(path, file) as (container, stream):
        source = _describe(stream, passed_through=False)
        for packet in _demux(container, stream, flush=True):
            check(packets)
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                broken += 1
                continue
            good += 1
            for frame in frames:
                packets += encoder.push(frame)
        packets += encoder.finish()
        check(packets)
    _judge_damage(path, good, broken)
    return EncodedClip(packets, source)


def _judge_damage(path: Path | str, good: int, broken: int) -> None:
    """A scratch is a warning; a file that is mostly noise to its decoder is an error."""
    if broken > good:
        raise ClipDamaged(path, "cannot be read as sound (most of it does not decode)")
    if broken:
        _log.warning("%s: %d of %d packets do not decode", path, broken, good + broken)


@contextmanager
def _open_audio(path: Path | str, file: BinaryIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    """The best audio stream of `file`, read from its beginning."""
    with _open(path, file) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise NotSound(path, "has no audio in it")
        if getattr(stream, "codec_context", None) is None:  # the types say that there is one
            raise ClipDamaged(path, "cannot be read as sound (an unknown codec)")
        yield container, stream


def _open(path: Path | str, file: BinaryIO) -> InputContainer:
    file.seek(0)
    try:
        # Tags are not played: whatever their encoding, they never decide over the sound.
        return av.open(file, "r", options=_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise NotSound(path, _unreadable(error)) from error


def _demux(
    container: InputContainer, stream: AudioStream, *, flush: bool = False
) -> Iterator[Packet[AudioStream]]:
    """The packets of a stream; with `flush` also the empty one that ends decoding."""
    for packet in container.demux(stream):
        if packet.size or flush:
            yield packet


def _describe(stream: AudioStream, *, passed_through: bool) -> Source:
    codec = stream.codec_context
    return Source(codec.codec.canonical_name, codec.sample_rate, codec.channels, passed_through)
