"""Sound files made into Ogg Opus files that the server passes through."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import trio

from audio_server.clips.errors import ClipError
from audio_server.clips.ingest import ingest
from audio_server.clips.ogg import write_opus


def opus_of_file(path: Path) -> bytes:
    """The file at `path` as an Ogg Opus file: its own bytes where they will do.

    Runs in a worker thread of trio and stops when it is cancelled. Raises `ClipError`.
    """
    try:
        with path.open("rb") as file:
            return opus_of(path, file)
    except OSError as error:
        raise ClipError(path, f"cannot be read ({error.strerror})") from error


def opus_of(path: Path | str, file: BinaryIO, *, max_packets: int | None = None) -> bytes:
    """The same of an open file; `path` is what it is called in errors. Raises `ClipTooLarge` for
    one that would have more packets of 20 ms."""
    check = trio.from_thread.check_cancelled
    prepared = ingest(path, file, checkpoint=check, max_packets=max_packets)
    if not prepared.source.passed_through:
        return opus_bytes(prepared.packets)
    file.seek(0)
    return file.read()


def opus_bytes(packets: Sequence[bytes]) -> bytes:
    """An Ogg Opus file of these packets."""
    file = BytesIO()
    write_opus(file, packets)
    return file.getvalue()
