"""A sound file of any kind made into Opus packets: passed through, or decoded and encoded.

Runs in a decoder process (`decoder_process`), since files come from anywhere and FFmpeg reads them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Protocol, TypeAlias, TypeVar

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from audio_server.clips.encoded_clip import Source
from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.faults import Fault, Refused
from audio_server.clips.formats import CODECS, OPTIONS
from audio_server.clips.loudness import LoudnessMeter, gain_db
from audio_server.clips.ogg_opus import NotPlainOpus, Piece, can_pass, channels_of, read_opus
from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ
from audio_server.clips.opus_decoder import opus_decoder

PACKETS_FREE, PACKETS_A_S = 2_000, 2_000
"""So many packets may hold next to nothing; beyond that they are 0.5 ms long on average. The
shortest in use are 0.8 ms (TrueHD)."""


class Sink(Protocol):
    """Where packets go. Each method may raise `Refused` to stop the work."""

    def check(self, samples: int = 0) -> None:
        """Account for one step of the work, and for so many samples at 48 kHz that it decoded."""

    def put(self, packet: bytes) -> None:
        """Take the next packet."""

    def again(self) -> None:
        """Forget all packets so far."""

    def measured(self, samples: int) -> None:
        """Account for samples at 48 kHz that were measured, before any packet comes of them."""


Put: TypeAlias = Callable[[AudioFrame], None]
"""Takes the next frame of decoded sound."""

T = TypeVar("T")
Decode: TypeAlias = Callable[[BinaryIO, Put, Sink], tuple[T, "Damage"]]
"""Decodes a file, from its beginning. Raises `Refused` for one that is mostly noise."""


class Damage:
    """How much of a file does not decode."""

    def __init__(self) -> None:
        self.good = self.broken = 0
        self.is_unsupported = False

    def judge(self) -> None:
        """Raise `Refused` for a file that is mostly noise to its decoder: a scratch is none."""
        if self.broken > self.good:
            unsupported = self.is_unsupported and not self.good
            raise Refused(Fault.UNSUPPORTED if unsupported else Fault.MOSTLY_DAMAGED)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count whether the block decodes. Packets that do not are left out, as players do."""
        try:
            yield
        except av.MemoryError:
            raise
        except av.FFmpegError as error:
            self.broken += 1
            self.is_unsupported = isinstance(error, av.PatchWelcomeError)
        else:
            self.good += 1


def ingest(file: BinaryIO, sink: Sink, target_lufs: float | None = None) -> tuple[Source, Damage]:
    """Put the sound of `file`, which stays the caller's to close, into `sink`.

    Takes the best audio stream (FFmpeg's choice: the default one, else the first). With
    `target_lufs` the file is read twice: its loudness is measured, and then brought to that. Plain
    Opus stays as it is. Raises `Refused` for a file that cannot be a clip.
    """
    with _faults_named():
        try:
            return _ingest_opus(file, sink, target_lufs)
        except NotPlainOpus:
            return _evened(_transcode, file, sink, target_lufs)


@contextmanager
def _faults_named() -> Iterator[None]:
    """Give errors of libraries a name of ours."""
    try:
        yield
    except (MemoryError, av.MemoryError) as error:
        raise Refused(Fault.MEMORY) from error
    except av.FFmpegError as error:
        raise Refused(Fault.DAMAGED) from error
    except OSError as error:
        # A damaged file may ask for a place before its beginning, which is EINVAL.
        is_input = error.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
        raise Refused(Fault.INPUT if is_input else Fault.DAMAGED) from error


# -- Ogg Opus


def _ingest_opus(file: BinaryIO, sink: Sink, target_lufs: float | None) -> tuple[Source, Damage]:
    passable, channels = True, 0
    for piece in read_opus(file):
        sink.check()
        passable = passable and can_pass(piece)
        channels = channels or channels_of(piece.head)
    if passable and _pass_through(file, sink):
        return Source("opus", RATE_HZ, channels, passed_through=True), Damage()
    sink.again()
    _, damage = _evened(_transcode_opus, file, sink, target_lufs)
    return Source("opus", RATE_HZ, channels, passed_through=False), damage


def _pass_through(file: BinaryIO, sink: Sink) -> bool:
    """Put the packets as they are in the file; False where one of them is no valid Opus.

    Each is decoded once, to nothing: a packet that is not valid breaks the audio of a stock device
    for the rest of its connection.
    """
    decoder = opus_decoder()
    for piece in read_opus(file):
        sink.check(PACKET_SAMPLES)
        try:
            if not decoder.decode(av.Packet(piece.data)):
                return False
        except av.InvalidDataError:
            return False
        sink.put(piece.data)
    return True


def _transcode_opus(file: BinaryIO, put: Put, sink: Sink) -> tuple[None, Damage]:
    """Decode each link by its own head, without the samples that the container drops."""
    damage = Damage()
    head, decoder = b"", opus_decoder()
    for piece in read_opus(file):
        if piece.head is not head:
            head, decoder = piece.head, opus_decoder(piece.head)
        frames: list[AudioFrame] = []
        with damage.counted():
            frames = decoder.decode(av.Packet(piece.data))
        for frame in frames:
            if (heard := _cut(frame, piece)) is not None and heard.samples:
                put(heard)
        sink.check()
    damage.judge()
    return None, damage


def _cut(frame: AudioFrame, piece: Piece) -> AudioFrame | None:
    """The frame without the samples at its end that are not to be heard."""
    kept = frame.samples - piece.dropped
    if kept == frame.samples:
        return frame
    if kept <= 0:
        return None
    short = AudioFrame(frame.format.name, frame.layout.name, kept)
    short.sample_rate = frame.sample_rate
    size = kept * frame.layout.nb_channels * frame.format.bytes
    short.planes[0].update(bytes(frame.planes[0])[:size])
    return short


# -- all other formats


def _transcode(file: BinaryIO, put: Put, sink: Sink) -> tuple[Source, Damage]:
    """Decode the best audio stream."""
    damage, pace = Damage(), _Pace()
    with _open(file) as container:
        stream = _best_audio(container)
        for packet in container.demux(stream):
            frames: list[AudioFrame] = []
            with damage.counted():
                frames = packet.decode()
            for frame in frames:
                if frame.samples:
                    put(frame)
            pace.check(frames)
            sink.check()
        codec = stream.codec_context
        source = Source(codec.codec.canonical_name, codec.sample_rate, codec.channels, False)
    damage.judge()
    return source, damage


class _Pace:
    """Notices a file whose sound is cut into far more packets than any encoder makes: a packet
    costs the same work, however short its sound is."""

    def __init__(self) -> None:
        self._allowed: float = PACKETS_FREE

    def check(self, frames: Sequence[AudioFrame]) -> None:
        """Account for a packet, which held `frames`. Raises `Refused`."""
        self._allowed -= 1
        self._allowed += sum(PACKETS_A_S * one.samples / (one.sample_rate or 1) for one in frames)
        if self._allowed < 0:
            raise Refused(Fault.TIME)


def _open(file: BinaryIO) -> InputContainer:
    file.seek(0)
    try:
        # Tags are not played: in no encoding may they decide over the sound.
        return av.open(file, "r", options=OPTIONS, metadata_errors="replace")
    except av.MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise Refused(Fault.FORMAT) from error


def _best_audio(container: InputContainer) -> AudioStream:
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream):
        raise Refused(Fault.NO_AUDIO)
    codec = getattr(stream, "codec_context", None)  # the types say that there is one
    if codec is None or codec.name not in CODECS:
        raise Refused(Fault.CODEC)
    codec.thread_count = 1
    return stream


# -- decoded sound to packets


def _evened(
    decode: Decode[T], file: BinaryIO, sink: Sink, target_lufs: float | None
) -> tuple[T, Damage]:
    """Decode a file, mix down, resample and encode, at the loudness that is wanted."""
    gain = 0.0
    if target_lufs is not None:
        meter = LoudnessMeter()
        decode(file, lambda frame: sink.measured(meter.push(frame)), sink)
        gain = gain_db(meter.finish(), target_lufs)
    encoder = OpusEncoder(gain_db=gain)

    def put(frame: AudioFrame) -> None:
        for packet in encoder.push(frame):
            sink.put(packet)

    result = decode(file, put, sink)
    for packet in encoder.finish():
        sink.put(packet)
    return result
