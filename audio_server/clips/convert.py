"""Sound files made into Ogg Opus files that the server passes through."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import trio

from audio_server.clips.decoder import open_decoder
from audio_server.clips.encoded_clip import EncodedClip
from audio_server.clips.errors import ClipError
from audio_server.clips.ogg import opus_bytes


async def opus_of_file(path: Path, loudness: int | None = None) -> bytes:
    """The file at `path` as an Ogg Opus file: its own bytes where they will do. With `loudness`, in
    LUFS, sound that is encoded is brought to it.

    Raises `ClipError`. A cancel stops the work at once.
    """
    try:
        with await trio.to_thread.run_sync(path.open, "rb") as file:
            return await opus_of(path, file, loudness=loudness)
    except OSError as error:
        raise ClipError(path, f"cannot be read ({error.strerror})") from error


async def opus_of(
    path: Path | str,
    file: BinaryIO,
    *,
    max_packets: int | None = None,
    loudness: int | None = None,
) -> bytes:
    """The same of an open file of the system; `path` is its name in errors. Raises `ClipTooLarge`
    for one that would have more packets of 20 ms."""
    async with open_decoder(loudness) as decoder:
        encoded = await decoder.ingest(path, file, max_packets=max_packets)
    return await trio.to_thread.run_sync(_opus_file, encoded, file)


def _opus_file(encoded: EncodedClip, file: BinaryIO) -> bytes:
    if not encoded.source.passed_through:
        return opus_bytes(encoded.packets)
    file.seek(0)
    return file.read()
