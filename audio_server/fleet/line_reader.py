"""Lines out of the pieces in which a pipe or a socket is read."""

from __future__ import annotations


class LineReader:
    """Joins pieces and returns the lines that are complete."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines
