"""The output of a decoder process: records of a kind and a few bytes, read with bounds."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

_HEAD = struct.Struct("<BH")

INGEST, LEVELS = b"i", b"l"
"""The jobs on a file that is sent along: the packets of a sound file; the loudness of packets that
are in the file as records. `INGEST` is followed by a byte: the loudness that is wanted in -LUFS, or
`AS_IT_IS`."""

AS_IT_IS = 0

RECORD_MAX_BYTES = 0xFFFF

LEVELS_A_PACKET = 4
"""A level, a byte, is kept for every 5 ms."""


class Kind(IntEnum):
    """Kinds of records."""

    READY = 1
    """The process has started and takes requests."""
    PACKET = 2
    """The next Opus packet, or the levels of the next one."""
    AGAIN = 3
    """The packets so far are void; others follow."""
    DONE = 4
    """The end; JSON of facts."""
    REFUSED = 5
    """The end: JSON of a fault's name and its number."""
    MEASURED = 6
    """One more second of sound has been measured, of which packets will follow."""


_KINDS = frozenset(Kind)


class BadRecord(Exception):
    """Bytes that no decoder process of ours would say."""


def encode_record(kind: Kind, data: bytes = b"") -> bytes:
    """A record as it is sent; `data` has at most `RECORD_MAX_BYTES`."""
    return _HEAD.pack(kind, len(data)) + data


class RecordReader:
    """Records out of pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The records that are whole with `data`. Raises `BadRecord`."""
        data, at = self._rest + data, 0
        self._rest = b""
        while at + _HEAD.size <= len(data):
            kind, size = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + size
            if end > len(data):
                break
            if kind not in _KINDS:
                raise BadRecord
            yield Kind(kind), data[at + _HEAD.size : end]
            at = end
        self._rest = data[at:]
