"""MP4 files whose index says more than is in them."""

from __future__ import annotations

import struct


def mp4_of(*, samples: int, chunks: int = 1, tracks: int = 1) -> bytes:
    """A file of so many samples of 2 bytes in each chunk; all chunks are the same few bytes."""
    start = _box(b"ftyp", b"isom", _longs(512), b"isom") + _box(b"mdat", bytes(2000))
    sound_at = len(start) - 2000
    table = _table(samples, chunks, sound_at)
    tracks_of = b"".join(_track(number + 1, table) for number in range(tracks))
    head = _full(b"mvhd", _longs(0, 0, 1000, 1000, 65536), b"\1\0", bytes(10), _UNIT, bytes(28))
    return start + _box(b"moov", head, tracks_of)


_UNIT = struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


def _table(samples: int, chunks: int, sound_at: int) -> bytes:
    shape = struct.pack(">HHHIHHHHI", 1, 0, 0, 0, 1, 16, 0, 0, 48_000 << 16)
    return _box(
        b"stbl",
        _full(b"stsd", _longs(1), _box(b"sowt", bytes(6), shape)),
        _full(b"stts", _longs(1, samples * chunks, 2)),
        _full(b"stsz", _longs(2, samples * chunks)),
        _full(b"stsc", _longs(1, 1, samples, 1)),
        _full(b"stco", _longs(chunks), _longs(sound_at) * chunks),
    )


def _track(number: int, table: bytes) -> bytes:
    data = _box(b"dinf", _full(b"dref", _longs(1), _full(b"url ", flags=1)))
    sound = _box(b"minf", _full(b"smhd", bytes(4)), data, table)
    kind = _full(b"hdlr", bytes(4), b"soun", bytes(13))
    media = _box(b"mdia", _full(b"mdhd", _longs(0, 0, 48_000, 1000, 0)), kind, sound)
    place = _longs(0, 0, number, 0, 1000)
    return _box(b"trak", _full(b"tkhd", place, bytes(16), _UNIT, bytes(8), flags=7), media)


def _longs(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return _longs(8 + len(data)) + kind + data


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, _longs(flags), *parts)
