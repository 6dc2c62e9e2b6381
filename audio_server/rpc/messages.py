"""gRPC's length-prefixed messages, put together from DATA frames of any size."""

from __future__ import annotations

import struct

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.rpc.framing import PREFIX_BYTES

_PREFIX = struct.Struct(">BI")


class MessageReader:
    """Collects bytes and gives whole messages.

    Messages that wait stay the bytes that they came as: a window full of empty ones is no larger
    than any other.
    """

    __slots__ = ("_buffer", "_max_bytes", "_whole_bytes", "whole")

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray()
        self._max_bytes = max_bytes
        self._whole_bytes = 0  # of the buffer: messages that are there
        self.whole = 0
        """How many messages are there to be taken."""

    def sole(self, data: bytes) -> bytes | None:
        """The message, if `data` is one, whole and alone: it is kept nowhere. Else None: `feed`."""
        if self._buffer or len(data) < PREFIX_BYTES:
            return None
        compressed, size = _PREFIX.unpack_from(data)
        if compressed or size != len(data) - PREFIX_BYTES or size > self._max_bytes:
            return None
        return data[PREFIX_BYTES:]

    def feed(self, data: bytes) -> bool:
        """Whether `data` completes a message.

        Raises `GRPCError`, the peer's fault: RESOURCE_EXHAUSTED for a message whose prefix
        names too many bytes, INTERNAL for a compressed one, as none was agreed on.
        """
        before = self.whole
        self._buffer += data
        while (end := self._next_end()) is not None and end <= len(self._buffer):
            self._whole_bytes = end
            self.whole += 1
        return self.whole > before

    def peek(self) -> bytes:
        """The oldest message that is whole, which stays; there must be one."""
        end = PREFIX_BYTES + int.from_bytes(self._buffer[1:PREFIX_BYTES], "big")
        return bytes(self._buffer[PREFIX_BYTES:end])

    def take(self) -> bytes:
        """The oldest message that is whole; there must be one."""
        message = self.peek()
        end = PREFIX_BYTES + len(message)
        del self._buffer[:end]
        self._whole_bytes -= end
        self.whole -= 1
        return message

    @property
    def partial_bytes(self) -> int:
        """Bytes of the message under way that have come; unless it is 0 a stream may not end."""
        return len(self._buffer) - self._whole_bytes

    @property
    def missing_bytes(self) -> int:
        """Known number of bytes that the message under way lacks; 0 when there is none."""
        have = self.partial_bytes
        if not have:
            return 0
        end = self._next_end()
        return PREFIX_BYTES - have if end is None else end - len(self._buffer)

    def _next_end(self) -> int | None:
        """Where in the buffer the message under way ends; None while that is unknown."""
        if self.partial_bytes < PREFIX_BYTES:
            return None
        compressed, size = _PREFIX.unpack_from(self._buffer, self._whole_bytes)
        if compressed:
            raise GRPCError(
                Status.INTERNAL, "a message is compressed, but grpc-encoding is identity"
            )
        if size > self._max_bytes:
            reason = f"a message is larger than {self._max_bytes} bytes"
            raise GRPCError(Status.RESOURCE_EXHAUSTED, reason)
        return self._whole_bytes + PREFIX_BYTES + int(size)
