"""Sound that is read from a pipe until it ends, or until Ctrl-C ends it.

It is a sound file of any format, or raw PCM where that is asked for.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from io import BufferedReader
from typing import BinaryIO

import trio

from audio_server.clips.convert import opus_of
from audio_server.clips.decoder import MAX_PACKETS, PACKETS_A_MINUTE
from audio_server.clips.errors import ClipError, NotSound
from audio_server.clips.faults import Fault
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.spool import Spool

LAST_WORDS_S = 1.0
"""Time for a recorder to write the rest of its sound after an interrupt."""

STREAM_MAX_BYTES = 1 << 30
"""How large a sound file in a pipe may be: an hour in stereo, 24 bits. It is kept on disk."""

_CHUNK_BYTES = 65_536


async def record_file(stream: BinaryIO, name: str, loudness: int | None = None) -> bytes:
    """An Ogg Opus file of the sound file that comes in `stream`; `name` is its name in errors.

    It is read whole first, so pieces may be of any size. Raises `ClipError`; for raw PCM, which
    does not say its shape, that is `NotSound`.
    """
    with Spool(name, STREAM_MAX_BYTES) as spool:
        await _read_to_end(stream, name, spool.write)
        if not spool.size:
            raise NotSound(name, "has no sound in it")
        await trio.to_thread.run_sync(spool.flush)
        return await opus_of(name, spool.file, loudness=loudness)


async def record_raw(
    stream: BinaryIO, name: str, *, rate_hz: int, channels: int, sample_format: str
) -> bytes:
    """An Ogg Opus file of the raw PCM that comes in `stream`, encoded while it comes.

    Raises `ClipError` where there is no sound in it.
    """
    from audio_server.clips.raw import RawEncoder  # FFmpeg is loaded for raw sound alone

    try:
        encoder = RawEncoder(rate_hz=rate_hz, channels=channels, sample_format=sample_format)
    except ValueError as error:
        raise ClipError(name, str(error)) from error
    packets: list[bytes] = []

    def take(data: bytes) -> None:
        packets.extend(encoder.push(data))
        if len(packets) > MAX_PACKETS:
            raise Fault.LENGTH.error(name, MAX_PACKETS / PACKETS_A_MINUTE)

    await _read_to_end(stream, name, take)
    packets += await trio.to_thread.run_sync(encoder.finish)
    if not packets:
        raise Fault.SILENT.error(name)
    return await trio.to_thread.run_sync(opus_bytes, packets)


async def _read_to_end(stream: BinaryIO, name: str, take: Callable[[bytes], None]) -> None:
    """Pass all bytes to `take`, in a thread. A read that blocks is abandoned.

    Raises `ClipError`, those of `take` included.
    """
    failure: ClipError | None = None
    async with trio.open_nursery() as nursery:
        reading = trio.CancelScope()
        await nursery.start(_end_by_interrupt, reading)
        try:
            with reading:
                await _hand_over(stream, take)
        except OSError as error:
            failure = ClipError(name, f"cannot be read ({error.strerror})")
        except ClipError as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _hand_over(stream: BinaryIO, take: Callable[[bytes], None]) -> None:
    # A read that is left to itself must not hold the lock of a buffer: the interpreter,
    # which flushes standard input when it ends, would abort.
    source = stream.raw if isinstance(stream, BufferedReader) else stream
    read = partial(source.read, _CHUNK_BYTES)
    while data := await trio.to_thread.run_sync(read, abandon_on_cancel=True):
        await trio.to_thread.run_sync(take, data)


async def _end_by_interrupt(
    reading: trio.CancelScope, *, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            reading.deadline = trio.current_time() + LAST_WORDS_S
