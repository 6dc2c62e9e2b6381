"""gRPC's length-prefixed messages, put together from DATA frames of any size."""

from __future__ import annotations

import struct

from grpclib.const import Status
from grpclib.exceptions import GRPCError

PREFIX_BYTES = 5


class MessageReader:
    """Collects bytes, gives whole messages; holds at most one message that is not whole."""

    __slots__ = ("_buffer", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray()
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes.

        Raises `GRPCError`, the peer's fault: RESOURCE_EXHAUSTED for a message whose prefix
        names too many bytes, INTERNAL for a compressed one, as none was agreed on.
        """
        self._buffer += data
        messages = []
        while (size := self.wanted_bytes) is not None and len(self._buffer) >= size:
            messages.append(bytes(self._buffer[PREFIX_BYTES:size]))
            del self._buffer[:size]
        return messages

    @property
    def wanted_bytes(self) -> int | None:
        """The size of the message under way, prefix included; None while that is unknown."""
        if len(self._buffer) < PREFIX_BYTES:
            return None
        compressed, size = struct.unpack_from(">BI", self._buffer)
        if compressed:
            raise GRPCError(Status.INTERNAL, "a compressed message, but no grpc-encoding")
        if size > self._max_bytes:
            raise GRPCError(
                Status.RESOURCE_EXHAUSTED,
                f"a message of {size} bytes; {self._max_bytes} are allowed",
            )
        return PREFIX_BYTES + int(size)

    @property
    def missing_bytes(self) -> int:
        """What the message under way lacks, as far as is known; 0 when there is none."""
        have = len(self._buffer)
        return (self.wanted_bytes or PREFIX_BYTES) - have if have else 0

    def __len__(self) -> int:
        """Bytes of the message under way; where it is not 0 a stream may not end."""
        return len(self._buffer)
