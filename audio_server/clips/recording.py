"""Sound that is read from a pipe until it ends, or until Ctrl-C ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from io import BufferedReader, BytesIO
from typing import BinaryIO

import trio

from audio_server.clips.convert import opus_bytes, opus_of
from audio_server.clips.errors import ClipError
from audio_server.clips.raw import RawEncoder

LAST_WORDS_S = 1.0
"""After an interrupt the recorder has this long to write what it still holds."""

_CHUNK_BYTES = 65_536
_SOUND_FILES = (b"RIFF", b"RF64", b"OggS", b"fLaC", b".snd", b"FORM", b"ID3")


async def record(
    stream: BinaryIO, name: str, *, rate_hz: int, channels: int, sample_format: str
) -> bytes:
    """An Ogg Opus file of what `stream` holds; `name` is what it is called in errors.

    Raw PCM is encoded while it comes. Some recorders write a sound file (AU, WAV) to a
    pipe unless told otherwise; taken for raw that would be noise, so it is recognised.
    Raises `ClipError` where there is no sound in it.
    """
    try:
        encoder = RawEncoder(rate_hz=rate_hz, channels=channels, sample_format=sample_format)
    except ValueError as error:
        raise ClipError(name, str(error)) from error
    taker = _Taker(encoder)
    try:
        await _read_to_end(stream, taker.take)
    except OSError as error:
        raise ClipError(name, f"cannot be read ({error.strerror})") from error
    return await trio.to_thread.run_sync(taker.finish, name)


class _Taker:
    """What has been read so far: packets, or the bytes of a sound file."""

    def __init__(self, encoder: RawEncoder) -> None:
        self._encoder = encoder
        self._packets: list[bytes] = []
        self._file: BytesIO | None = None
        self._started = False

    def take(self, data: bytes) -> None:
        if not self._started:
            self._started = True
            self._file = BytesIO() if data.startswith(_SOUND_FILES) else None
        if self._file is not None:
            self._file.write(data)
        else:
            self._packets += self._encoder.push(data)

    def finish(self, name: str) -> bytes:
        if self._file is not None:
            return opus_of(name, self._file)
        self._packets += self._encoder.finish()
        if not self._packets:
            raise ClipError(name, "has no sound in it")
        return opus_bytes(self._packets)


async def _read_to_end(stream: BinaryIO, take: Callable[[bytes], None]) -> None:
    """Hand all that comes to `take`, in a thread. A read that blocks is left to itself."""
    failure: OSError | None = None
    async with trio.open_nursery() as nursery:
        reading = trio.CancelScope()
        await nursery.start(_end_by_interrupt, reading)
        try:
            with reading:
                await _hand_over(stream, take)
        except OSError as error:
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
