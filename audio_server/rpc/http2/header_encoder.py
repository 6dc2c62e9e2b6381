"""An HPACK encoder that signals every change of its table that RFC 7541 section 4.2 asks for.

hpack's own signals each change since the last header block, and so an unbounded number of them,
and none at all when the last change repeats the value before it. Header blocks that were encoded
ahead of time begin with `take_size_updates` as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpack import Encoder
from hpack.hpack import encode_integer

MAX_TABLE_BYTES = 4096
"""The most that a peer can make us keep, however much more it allows."""

_SIZE_UPDATE = 0x20
_SIZE_UPDATE_BITS = 5


class HeaderEncoder(Encoder):
    """Encodes header blocks for a peer whose SETTINGS_HEADER_TABLE_SIZE may change at any time."""

    def __init__(self) -> None:
        super().__init__()
        self._announced = MAX_TABLE_BYTES  # HTTP/2's initial value
        self._smallest = MAX_TABLE_BYTES  # of the values announced since the last header block
        self._is_due = False

    def announce(self, table_bytes: int) -> None:
        """The peer has set its SETTINGS_HEADER_TABLE_SIZE: one value of possibly several."""
        size = min(table_bytes, MAX_TABLE_BYTES)
        # A reduction needs an answer (RFC 9113 section 4.3.1) even where ours is smaller still.
        self._is_due |= table_bytes < self._announced or size != self.header_table.maxsize
        self._smallest = min(size, self._smallest)
        self._announced = table_bytes
        self.header_table.maxsize = size
        self.header_table.resized = False  # or hpack would signal it too

    @property
    def header_table_size(self) -> int:
        """How large the table may be now."""
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        """As h2 calls `announce`, for the last value of a SETTINGS frame."""
        self.announce(value)

    def take_size_updates(self) -> bytes:
        """Return how the next header block has to begin; it must be sent."""
        smallest, size = self._smallest, self.header_table.maxsize
        self._smallest = MAX_TABLE_BYTES
        if not self._is_due:
            return b""
        self._is_due = False
        return (_size_update(smallest) if smallest < size else b"") + _size_update(size)

    def encode(self, headers: Iterable[Any] | dict[Any, Any], huffman: bool = True) -> bytes:
        return self.take_size_updates() + super().encode(headers, huffman)


def _size_update(size: int) -> bytes:
    update = encode_integer(size, _SIZE_UPDATE_BITS)
    update[0] |= _SIZE_UPDATE
    return bytes(update)
