"""Blobs that nodes offer each other for a while, as keys of the engine that expire.

In parts, one in flight: other commands wait for 64 KiB at most.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import Protocol

import trio

from audio_server.cluster.engine_connection import Word

PART_BYTES = 64 * 1024

OFFERED_MS = 60_000

KEPT_MAX_BYTES = 64 * 1024 * 1024
"""Of all blobs that were fetched; the one that was used longest ago gives way."""


class Commands(Protocol):
    """Runs a command of the engine. Raises `ClusterDown`."""

    async def __call__(self, *words: Word) -> object: ...


async def offer(command: Commands, sha: str, data: bytes) -> None:
    """Have other nodes find a blob for `OFFERED_MS`. Raises `ClusterDown`."""
    for number, start in enumerate(range(0, len(data), PART_BYTES)):
        part = data[start : start + PART_BYTES]
        await command("SET", f"as:o:{sha}:{number}", part, "PX", OFFERED_MS)
    await command("SET", f"as:o:{sha}", len(data), "PX", OFFERED_MS)


class Offers:
    """The blobs that a node has fetched: each once, however many ask for it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._turn = trio.Lock()

    async def fetch(self, command: Commands, sha: str) -> bytes:
        """Return a blob. Raises `KeyError` for one that nobody offers, and `ClusterDown`."""
        async with self._turn:
            if sha not in self._kept:
                data = await _read(command, sha)
                if (await trio.to_thread.run_sync(sha256, data)).hexdigest() != sha:
                    raise KeyError(sha)
                self._kept[sha] = data
            self._kept.move_to_end(sha)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT_MAX_BYTES:
                self._kept.popitem(last=False)
            return self._kept[sha]


async def _read(command: Commands, sha: str) -> bytes:
    size = await command("GET", f"as:o:{sha}")
    if not isinstance(size, bytes):
        raise KeyError(sha)
    data = bytearray()
    for number in range(-(-int(size) // PART_BYTES)):
        part = await command("GET", f"as:o:{sha}:{number}")
        if not isinstance(part, bytes):
            raise KeyError(sha)
        data += part
    return bytes(data)
