"""A sound file that comes in pieces, from a client that may be wrong about its format."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import BinaryIO, Protocol, TypeAlias, TypeVar, runtime_checkable

import trio

from audio_server.clips.convert import opus_of
from audio_server.clips.decoder import open_decoder
from audio_server.clips.encoded_clip import EncodedClip
from audio_server.clips.errors import ClipError, NotSound, UploadTooSlow
from audio_server.clips.spool import Spool
from audio_server.wire.audio import PACKET_MS

UPLOAD_MAX_MIB = 64
SOUND_MAX_S = 3600

START_S = 10.0
"""How long an upload may take to get going."""

RATE_MIN_BYTES_A_S = 16 << 10
"""How fast it has to come from then on, on average: few connections are slower."""

UPLOAD_S = 900.0
"""How long it may take in all. Where files of more than 900 MiB are allowed, that is longer:"""

UPLOAD_BYTES_A_S = 1 << 20

_PACKETS_MAX = SOUND_MAX_S * 1000 // PACKET_MS

T = TypeVar("T")

Convert: TypeAlias = Callable[[str, BinaryIO], Awaitable[T]]
"""Makes something of a file, of which the name for errors is given. Raises `ClipError`."""


@runtime_checkable
class FromClient(Protocol):
    """A file from a client that may go before it is told what has become of the file."""

    async def wait_gone(self) -> None:
        """Return when the client has gone; called when the whole file has come."""


async def receive(
    name: str,
    parts: AsyncIterable[bytes],
    folder: Path | None,
    *,
    max_bytes: int,
    decoding: trio.CapacityLimiter,
    loudness: int | None = None,
) -> bytes:
    """An Ogg Opus file of the file that comes; see `receive_as` and `opus_of`."""
    convert = partial(opus_of, max_packets=_PACKETS_MAX, loudness=loudness)
    return await receive_as(convert, name, parts, folder, max_bytes=max_bytes, decoding=decoding)


async def receive_clip(
    name: str,
    parts: AsyncIterable[bytes],
    *,
    max_bytes: int,
    decoding: trio.CapacityLimiter,
    loudness: int | None = None,
) -> EncodedClip:
    """The sound of the file that comes, with the same bounds; see `receive_as`."""

    async def ingest(name: str, file: BinaryIO) -> EncodedClip:
        async with open_decoder(loudness) as decoder:
            return await decoder.ingest(name, file, max_packets=_PACKETS_MAX)

    return await receive_as(ingest, name, parts, None, max_bytes=max_bytes, decoding=decoding)


async def receive_as(
    convert: Convert[T],
    name: str,
    parts: AsyncIterable[bytes],
    folder: Path | None,
    *,
    max_bytes: int,
    decoding: trio.CapacityLimiter,
) -> T:
    """Return the result of `convert` for the file that comes, which is called `name` in errors.

    It is kept in `folder` meanwhile (None: where temporary files are), in a file without a name, so
    nothing is left behind. A place
    of `decoding` is taken once it is there; where `parts` are `FromClient`, a client that goes
    stops that. Raises `ClipTooLarge` as soon as it is too large, `UploadTooSlow`, and `ClipError`
    for one that cannot be played.
    """
    try:
        spool = await trio.to_thread.run_sync(Spool, name, max_bytes, folder)
    except OSError as error:
        place = gettempdir() if folder is None else folder
        raise ClipError(place, f"cannot be written to ({error.strerror})") from error
    with spool:
        start, rest = trio.current_time(), aiter(parts)
        total_s = max(UPLOAD_S, max_bytes / UPLOAD_BYTES_A_S)
        while (
            part := await _next(name, rest, start + min(total_s, due_s(spool.size)))
        ) is not None:
            await trio.to_thread.run_sync(spool.write, part)
        if not spool.size:
            raise NotSound(name, "is empty")
        await trio.to_thread.run_sync(spool.flush)

        async def decode() -> T:
            async with decoding:
                return await convert(name, spool.file)

        return await (
            _unless_gone(parts, name, decode) if isinstance(parts, FromClient) else decode()
        )


async def _unless_gone(client: FromClient, name: str, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, which is cancelled when the client goes."""
    result: T | None = None
    failure: Exception | None = None

    async def watch() -> None:
        await client.wait_gone()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        try:
            result = await work()
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if result is None:
        raise ClipError(name, "is not wanted any more: its sender has gone")
    return result


def due_s(size: int) -> float:
    """When the next part of an upload is due, in seconds from its start, after so many bytes."""
    return START_S + size / RATE_MIN_BYTES_A_S


async def _next(name: str, parts: AsyncIterator[bytes], due_at: float) -> bytes | None:
    """The next part; None at the end. Raises `UploadTooSlow`."""
    with trio.move_on_at(due_at):
        return await anext(parts, None)
    raise UploadTooSlow(name, f"comes too slowly (at least {RATE_MIN_BYTES_A_S >> 10} KiB/s)")
