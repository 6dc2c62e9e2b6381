"""Sound files decoded outside of this process, which trusts nothing in them.

Files come from anywhere, and FFmpeg reads them with a million lines of C: that happens in a process
with next to no rights (`decoder_limits`). It is killed when its work is cancelled, when it takes
too long, and by the system when this process ends.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO, Final, TypeVar, cast

import msgspec
import trio

from audio_server.clips.decoder_handle import EXIT_S, DecoderLost, DecoderProcess, start_process
from audio_server.clips.encoded_clip import EncodedClip, Source
from audio_server.clips.errors import ClipError
from audio_server.clips.faults import Fault, Refused
from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ, is_sendable
from audio_server.clips.records import (
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

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Facts(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The final record about a file."""

    codec: Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,32}$")]
    rate_hz: _Count
    channels: _Count
    passed_through: bool
    broken: _Count
    packets: _Count


class Decoder:
    """Decodes one file after the other, in a process that is started when there is one to decode,
    and again when that has died. To be had from `open_decoder`."""

    def __init__(self) -> None:
        self._process: DecoderProcess | None = None

    async def ingest(
        self, path: Path | str, file: BinaryIO, *, max_packets: int | None = None
    ) -> EncodedClip:
        """The Opus packets of `file`, which must be one of the system's; its position changes, and
        it stays the caller's to close. `path` is its name in errors.

        Raises `NotSound` or `ClipDamaged` for a file that is no clip, `ClipTooLarge` as soon as
        there are more than `max_packets`, and `ClipError` where no process can be started.
        """
        answer = _Ingested(path, max_packets or MAX_PACKETS)
        await self._ask(path, INGEST, file, answer)
        return answer.encoded()

    async def levels(self, name: str, packets: Sequence[bytes]) -> bytes:
        """How loud the packets are, a byte for every 5 ms. Raises `ClipError` about `name`."""
        answer = _Levels()
        with _memory_file() as file:
            await trio.to_thread.run_sync(_write_packets, file, packets)
            await self._ask(name, LEVELS, file, answer)
        if len(answer.levels) != len(packets) * LEVELS_A_PACKET:
            raise Fault.CRASH.error(name)
        return bytes(answer.levels)

    async def _ask(self, path: Path | str, job: bytes, file: BinaryIO, answer: _Answer) -> None:
        """Run a job. An end before its answer is whole ends the process too."""
        try:
            with trio.CancelScope(deadline=trio.current_time() + WALL_S) as scope:
                started_at = trio.current_time()
                process = await self._running(path)
                await process.request(job, file)
                while not answer.is_whole:
                    for kind, data in await process.read():
                        answer.take(kind, data)
                    scope.deadline = started_at + WALL_S + answer.sound_s
            if scope.cancelled_caught:
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
async def open_decoder() -> AsyncIterator[Decoder]:
    """A decoder, whose process ends with the block."""
    decoder = Decoder()
    try:
        yield decoder
    finally:
        await decoder.aclose()


class _Answer:
    """Yield an answer, record by record. Raises `BadRecord` for a record of no decoder process."""

    def __init__(self) -> None:
        self.is_whole = False
        self.sound_s = 0.0

    def take(self, kind: Kind, data: bytes) -> None:
        """The next record. Raises `Refused` for the one that says so, and ends the answer."""
        if kind is Kind.REFUSED:
            self.is_whole = True
            raise _refusal(data)
        if kind is Kind.DONE:
            self.is_whole = True
        self._take(kind, data)

    def _take(self, kind: Kind, data: bytes) -> None:
        raise NotImplementedError


class _Ingested(_Answer):
    """The packets of a file."""

    def __init__(self, path: Path | str, max_packets: int) -> None:
        super().__init__()
        self._path = path
        self._max_packets = max_packets
        self._packets: list[bytes] = []
        self._is_second = False
        self._source: Source | None = None

    def encoded(self) -> EncodedClip:
        """All of it. Raises `ClipDamaged` where there is no sound."""
        if not self._packets or self._source is None:
            raise Fault.SILENT.error(self._path)
        return EncodedClip(self._packets, self._source)

    def _take(self, kind: Kind, data: bytes) -> None:
        if kind is Kind.PACKET and is_sendable(data):
            self._put(data)
        elif kind is Kind.AGAIN and not self._is_second:
            self._is_second = True
            self._packets.clear()
        elif kind is Kind.DONE:
            self._finish(_decode(data, _Facts))
        else:
            raise BadRecord

    def _put(self, packet: bytes) -> None:
        self.sound_s += _PACKET_S
        self._packets.append(packet)
        if len(self._packets) > self._max_packets:
            raise Fault.LENGTH.error(self._path, self._max_packets / PACKETS_A_MINUTE)

    def _finish(self, facts: _Facts) -> None:
        self._source = Source(facts.codec, facts.rate_hz, facts.channels, facts.passed_through)
        if facts.broken:
            name, broken, packets = self._path, facts.broken, facts.packets
            _log.warning("%s: %d of %d packets do not decode", name, broken, packets)


class _Levels(_Answer):
    """How loud packets are."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = bytearray()

    def _take(self, kind: Kind, data: bytes) -> None:
        if kind is Kind.LEVELS:
            self.sound_s += _PACKET_S
            self.levels += data
        elif kind is not Kind.DONE:
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
