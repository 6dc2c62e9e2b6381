"""Sound files decoded outside of this process, which trusts nothing in them.

Files come from anywhere, and FFmpeg reads them with a million lines of C: that happens in a process
with next to no rights (`decoder_limits`). It is killed when its work is cancelled, when it takes
too long, and by the system when this process ends.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, TypeVar, cast

import msgspec
import trio

from audio_server.clips.decoder_handle import EXIT_S, DecoderLost, DecoderProcess, start_process
from audio_server.clips.encoded_clip import Count, EncodedClip, Source
from audio_server.clips.errors import ClipError
from audio_server.clips.faults import Fault, Refused
from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ, is_sendable
from audio_server.clips.records import (
    AS_IT_IS,
    INGEST,
    LEVELS,
    LEVELS_A_PACKET,
    BadRecord,
    Kind,
    encode_record,
)

WALL_S: Final = 30.0
"""How long a process may take to start, and to find the first sound in a file; as much as its sound
is long comes on top. Its CPU time is far less (`decoder_limits`): here the machine is busy."""

PACKETS_A_MINUTE: Final = 60 * RATE_HZ // PACKET_SAMPLES
MAX_PACKETS: Final = 240 * PACKETS_A_MINUTE
"""Four hours: the longest clip unless a caller sets another bound. It is in memory as it is
sent."""

_PACKET_S = PACKET_SAMPLES / RATE_HZ
_DEATHS = {-signal.SIGXCPU: Fault.TIME, -signal.SIGKILL: Fault.MEMORY}

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _Facts(Source, frozen=True, array_like=True):
    """The final record about a file: its source, and how many of its packets do not decode."""

    broken: Count
    packets: Count


class Decoder:
    """Decodes one file after the other, in a process that is started when there is one to decode,
    and again when that has died. To be had from `open_decoder`."""

    def __init__(self, loudness: int | None = None) -> None:
        """With `loudness`, in LUFS, sound that is encoded is brought to it."""
        self._level = AS_IT_IS if loudness is None else -loudness
        self._process: DecoderProcess | None = None

    async def ingest(
        self, path: Path | str, file: BinaryIO, *, max_packets: int | None = None
    ) -> EncodedClip:
        """The Opus packets of `file`, which must be one of the system's; its position changes, and
        it stays the caller's to close. `path` is its name in errors.

        Raises `NotSound` or `ClipDamaged` for a file that is no clip, `ClipTooLarge` as soon as
        there are more than `max_packets`, and `ClipError` where no process can be started.
        """
        answer = _Answer(is_sendable, max_packets or MAX_PACKETS)
        job = INGEST + bytes([self._level])
        facts = await self._ask(path, job, file, answer, _Facts)
        if facts.broken:
            broken, packets = facts.broken, facts.packets
            _log.warning("%s: %d of %d packets do not decode", path, broken, packets)
        if not answer.parts:
            raise Fault.SILENT.error(path)
        source = Source(facts.codec, facts.rate_hz, facts.channels, facts.passed_through)
        return EncodedClip(answer.parts, source)

    async def levels(self, name: str, packets: Sequence[bytes]) -> bytes:
        """How loud the packets are, a byte for every 5 ms. Raises `ClipError` about `name`."""
        answer = _Answer(lambda part: len(part) == LEVELS_A_PACKET, len(packets))
        with _memory_file() as file:
            await trio.to_thread.run_sync(_write_packets, file, packets)
            await self._ask(name, LEVELS, file, answer, type(None))
        if len(answer.parts) != len(packets):
            raise Fault.CRASH.error(name)
        return b"".join(answer.parts)

    async def _ask(
        self, path: Path | str, job: bytes, file: BinaryIO, answer: _Answer, facts: type[T]
    ) -> T:
        """Run a job; return its facts. An end before its answer is whole ends the process too."""
        try:
            with trio.CancelScope(deadline=trio.current_time() + WALL_S) as scope:
                started_at = trio.current_time()
                process = await self._running(path)
                await process.request(job, file)
                while not answer.is_whole:
                    for kind, data in await process.read():
                        answer.take(kind, data)
                    scope.deadline = started_at + WALL_S + answer.sound_s + answer.measured_s
                return _decode(answer.facts, facts)
            raise Fault.TIME.error(path)
        except BadRecord:
            raise Fault.CRASH.error(path) from None
        except DecoderLost:
            raise await self._autopsy(path) from None
        except Refused as refused:
            raise refused.fault.error(path, refused.number) from None
        finally:
            if not answer.is_whole:
                await self.aclose()

    async def _running(self, path: Path | str) -> DecoderProcess:
        if self._process is None:
            try:
                self._process = await start_process()
            except OSError as error:
                raise ClipError(path, f"cannot be decoded now ({error.strerror})") from error
        return self._process

    async def _autopsy(self, path: Path | str) -> ClipError:
        """Why a process is no more."""
        process, self._process = self._process, None
        assert process is not None
        status = await process.end(EXIT_S)
        if not process.is_ready:
            return ClipError(path, f"cannot be decoded: the decoder does not start ({status})")
        return _DEATHS.get(status or 0, Fault.CRASH).error(path)

    async def aclose(self) -> None:
        """Kill the process, if there is one, and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            await process.end()


@asynccontextmanager
async def open_decoder(loudness: int | None = None) -> AsyncIterator[Decoder]:
    """A decoder, whose process ends with the block. With `loudness`, in LUFS, sound that is encoded
    is brought to it."""
    decoder = Decoder(loudness)
    try:
        yield decoder
    finally:
        await decoder.aclose()


class _Answer:
    """The parts of an answer so far: packets or their levels, by the test `is_part`."""

    def __init__(self, is_part: Callable[[bytes], bool], max_parts: int) -> None:
        self.parts: list[bytes] = []
        self.facts = b""
        self.is_whole = False
        self.sound_s = 0.0
        self._is_part = is_part
        self._max_parts = max_parts
        self._is_second = False
        self.measured_s = 0

    def take(self, kind: Kind, data: bytes) -> None:
        """Take the next record.

        Raises `Refused` for a file that is refused, or has too many parts, and `BadRecord` for a
        record of no decoder process.
        """
        if kind is Kind.PACKET and self._is_part(data):
            self.sound_s += _PACKET_S
            self.parts.append(data)
            if len(self.parts) > self._max_parts:
                raise Refused(Fault.LENGTH, self._max_parts / PACKETS_A_MINUTE)
        elif kind is Kind.MEASURED:
            self.measured_s += 1
            if self.measured_s > self._max_parts * _PACKET_S:
                raise Refused(Fault.LENGTH, self._max_parts / PACKETS_A_MINUTE)
        elif kind is Kind.AGAIN and not self._is_second:
            self._is_second = True
            self.parts.clear()
        elif kind in (Kind.DONE, Kind.REFUSED):
            self.is_whole = True
            self.facts = data
            if kind is Kind.REFUSED:
                raise _refusal(data)
        else:
            raise BadRecord


def _refusal(data: bytes) -> Refused:
    name, number = _decode(data, tuple[str, int])
    try:
        return Refused(Fault[name], number)
    except KeyError as error:
        raise BadRecord from error


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRecord from error


def _memory_file() -> BinaryIO:
    """A file of the system that needs no disk, where there are such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("packets"), "w+b")
    return cast(BinaryIO, TemporaryFile())


def _write_packets(file: BinaryIO, packets: Sequence[bytes]) -> None:
    file.writelines(encode_record(Kind.PACKET, packet) for packet in packets)
    file.flush()
