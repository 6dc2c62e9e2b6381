"""Bodies over HTTP as files that FFmpeg reads."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator

import httpx2

from audio_server.clips.web_transport import without_metadata

Open = Callable[[int], httpx2.Response]
"""Opens a body from a byte on."""


class StreamBody:
    """A body without an end, read in order. `close` it. With an `interval` there are titles of
    SHOUTcast in it, which are left out."""

    def __init__(self, response: httpx2.Response, interval: int = 0) -> None:
        self.name = str(response.url)
        self._response = response
        parts = response.iter_raw()
        self._parts: Iterator[bytes] = without_metadata(parts, interval) if interval else parts
        self._rest = b""

    def peek(self, size: int) -> bytes:
        """Return the first bytes, fewer where the body is shorter, and leave them there."""
        while len(self._rest) < size and (part := next(self._parts, b"")):
            self._rest += part
        return self._rest[:size]

    def read(self, size: int) -> bytes:
        """Return bytes as they have come, at most `size`; none at the end."""
        if not self._rest:
            self._rest = next(self._parts, b"")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """End the request."""
        self._response.close()


class FileBody:
    """A body of known length: a file, whose places can be sought where the server has ranges.

    A connection that breaks is opened again at the place where it broke, once for each place.
    """

    def __init__(self, response: httpx2.Response, size: int, open_at: Open) -> None:
        self._body = StreamBody(response)
        self.name = self._body.name
        self._size = size
        self._open_at = open_at
        self._has_ranges = response.headers.get("accept-ranges", "").lower() == "bytes"
        self._at = self._opened_at = 0

    def seekable(self) -> bool:
        """As files have it."""
        return self._has_ranges

    def tell(self) -> int:
        """As files have it."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; the request for it is made at once."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        place = max(0, min(base + offset, self._size))
        if place != self._at:
            self._go_to(place)
        return place

    def peek(self, size: int) -> bytes:
        """Return the first bytes, and leave them there."""
        return self._body.peek(size)

    def read(self, size: int) -> bytes:
        """Return bytes as they have come; none at the end."""
        if self._at >= self._size:
            return b""
        try:
            data = self._body.read(size)
        except httpx2.TransportError:
            if not self._has_ranges or self._opened_at == self._at:
                raise
            self._go_to(self._at)
            data = self._body.read(size)
        self._at += len(data)
        return data

    def close(self) -> None:
        """End the request."""
        self._body.close()

    def _go_to(self, place: int) -> None:
        self._body.close()
        self._at = self._opened_at = place
        if place < self._size:
            self._body = StreamBody(self._open_at(place))


class ListBody(io.BytesIO):
    """A list that was read whole."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name
