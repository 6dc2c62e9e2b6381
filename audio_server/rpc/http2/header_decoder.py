"""The header blocks that stock clients send, decoded field by field from a cache.

Fast path of hpack's `Decoder`, which takes each field apart byte by byte: the fields of a call are
the same for all devices, but for the device's id. Invariant: a block that is decoded here gives the
headers and the dynamic table that hpack would give, and any other block gives None and changes
nothing (a Hypothesis test). Benchmark: docs/performance.md, "Arrivals".

A cached value depends on its key alone, the bytes of one field or of a block before its references
to the table are followed, so that no peer can change the headers of another. The caches have a
bound, and the least recently used values leave first.
"""

from __future__ import annotations

from functools import lru_cache

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

Field = tuple[bytes, bytes]

_Part = tuple[Field | None, int | None, bool]
"""One field of a block, an index of the dynamic table that it refers to, for all of it or, beside a
field, for the name alone; and whether the field is added to the table."""

_Parts = tuple[_Part, ...]

MAX_TABLE_BYTES = 4096
"""HTTP/2's initial value, which this server does not change (RFC 9113 section 6.5.2)."""

_BLOCK_BYTES = 1024
"""Blocks of stock clients are smaller; hpack stops early in one that unpacks to very much."""

_CACHED = 1024
_BLOCKS_CACHED = 256
_ENTRY_BYTES = 32
"""Overhead of a field in the table and in a header list (RFC 7541 section 4.1)."""

_STATIC: list[Field] = [(b"", b""), *HeaderTable.STATIC_TABLE]
_FIRST_DYNAMIC = len(_STATIC)

_INDEXED, _ADDED, _RESIZE = 0x80, 0x40, 0x20
_LONG = 0x7F
"""A length or an index that does not fit in its byte: such a block is left to hpack."""


class _LongWay(Exception):
    """A block that is left to hpack."""


class DynamicTable:
    """The fields that a peer refers to by an index, newest first."""

    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: list[Field] = []
        self.size = 0

    def decode(self, block: bytes, most_bytes: int) -> list[Field] | None:
        """Return the headers of a block; None, with nothing changed, for one that is left to
        hpack, such as a damaged block, or a list of more than `most_bytes`."""
        parts = _parts(block) if len(block) <= _BLOCK_BYTES else None
        if parts is None:
            return None
        before = self.entries, self.size
        try:
            headers = self._decode(parts)
            if sum([len(name) + len(value) for name, value in headers]) <= most_bytes - (
                _ENTRY_BYTES * len(headers)
            ):
                return headers
        except IndexError:
            pass
        self.entries, self.size = before
        return None

    def _decode(self, parts: _Parts) -> list[Field]:
        self.entries = self.entries.copy()
        headers = []
        for field, index, is_added in parts:
            if index is not None:
                name, value = self.entries[index]
                field = (name, value if field is None else field[1])
            assert field is not None
            headers.append(field)
            if is_added:
                self._add(field)
        return headers

    def _add(self, field: Field) -> None:
        self.entries.insert(0, field)
        self.size += _entry_bytes(field)
        while self.size > MAX_TABLE_BYTES:
            self.size -= _entry_bytes(self.entries.pop())


@lru_cache(_BLOCKS_CACHED)
def _parts(block: bytes) -> _Parts | None:
    """Return the parts of a block, None for one that is left to hpack.

    Of the three blocks of a device two are the same for all devices: the id is in the table then.
    """
    parts: list[_Part] = []
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first >= _INDEXED:
                parts.append(_indexed(first & _LONG))
                at += 1
            elif first & (_ADDED | _RESIZE) == _RESIZE:
                return None
            else:
                part, at = _literal(block, at, bool(first & _ADDED))
                parts.append(part)
    except (_LongWay, IndexError, HPACKError):
        return None
    return tuple(parts)


def _indexed(index: int) -> _Part:
    if not index or index == _LONG:
        raise _LongWay
    if index < _FIRST_DYNAMIC:
        return _STATIC[index], None, False
    return None, index - _FIRST_DYNAMIC, False


def _literal(block: bytes, at: int, is_added: bool) -> tuple[_Part, int]:
    """Return a field that is not in the table, at least its value, and its end."""
    mask = 0x3F if is_added else 0x0F
    index, value_at = block[at] & mask, at + 1
    if index == mask:
        more = block[value_at]
        if more > _LONG:
            raise _LongWay
        index += more
        value_at += 1
    name_at = value_at
    if not index:
        value_at = _end_of(block, name_at)
    end = _end_of(block, value_at)
    if end > len(block):
        raise _LongWay
    value = block[value_at:end]
    if not index:
        return (_named(block[name_at:value_at], value), None, is_added), end
    if index < _FIRST_DYNAMIC:
        return (_known(index, value), None, is_added), end
    return ((b"", _text(value)), index - _FIRST_DYNAMIC, is_added), end


def _entry_bytes(field: Field) -> int:
    return len(field[0]) + len(field[1]) + _ENTRY_BYTES


def _end_of(block: bytes, at: int) -> int:
    """Return the end of the text whose length is at `at`."""
    size = block[at] & _LONG
    if size == _LONG:
        raise _LongWay
    return at + 1 + size


@lru_cache(_CACHED)
def _named(name: bytes, value: bytes) -> Field:
    return _text(name), _text(value)


@lru_cache(_CACHED)
def _known(index: int, value: bytes) -> Field:
    return _STATIC[index][0], _text(value)


@lru_cache(_CACHED)
def _text(coded: bytes) -> bytes:
    """Return a text without its length, decoded if it is in Huffman's code."""
    return decode_huffman(coded[1:]) if coded[0] > _LONG else coded[1:]
