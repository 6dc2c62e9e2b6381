"""A sound file that comes in pieces, from somebody who need not be right about what it is."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

import trio

from audio_server.clips.errors import ClipError, ClipTooLarge, NotSound
from audio_server.wire.audio import PACKET_MS

UPLOAD_MAX_MIB = 64
SOUND_MAX_S = 3600

_PACKETS_MAX = SOUND_MAX_S * 1000 // PACKET_MS


async def receive(name: str, parts: AsyncIterable[bytes], folder: Path, *, max_bytes: int) -> bytes:
    """An Ogg Opus file of the file that comes, which is called `name` in errors.

    It is kept in `folder` meanwhile, in a file without a name, so nothing is left behind. Raises
    `ClipTooLarge` as soon as it is too large, and `ClipError` for one that cannot be played.
    """
    # FFmpeg is loaded by those who use it.
    from audio_server.clips.convert import opus_of

    async with _temporary(folder) as file:
        size = 0
        async for part in parts:
            size += len(part)
            if size > max_bytes:
                raise ClipTooLarge(name, f"is larger than {max_bytes / 2**20:g} MiB")
            await _write(file, part, name)
        if not size:
            raise NotSound(name, "is empty")
        return await trio.to_thread.run_sync(lambda: opus_of(name, file, max_packets=_PACKETS_MAX))


async def _write(file: BinaryIO, part: bytes, name: str) -> None:
    try:
        await trio.to_thread.run_sync(file.write, part)
    except OSError as error:
        raise ClipError(name, f"cannot be kept ({error.strerror})") from error


@asynccontextmanager
async def _temporary(folder: Path) -> AsyncIterator[BinaryIO]:
    try:
        file = await trio.to_thread.run_sync(_open, folder)
    except OSError as error:
        raise ClipError(folder, f"cannot be written to ({error.strerror})") from error
    try:
        yield file
    finally:
        with suppress(OSError):  # what a full disk did not take is thrown away with the rest
            file.close()


def _open(folder: Path) -> BinaryIO:
    return cast(BinaryIO, TemporaryFile(dir=folder))
