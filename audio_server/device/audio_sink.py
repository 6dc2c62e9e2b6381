"""Where a device's sound leaves: the one thing the audio task knows of a connection."""

from __future__ import annotations

from typing import Protocol


class AudioSink(Protocol):
    """One audio stream, as the device's audio task sees it.

    It belongs to the request that opened it. The end of that request reaches the device as the end
    of the request's link, never as an error of the sink: bytes for a sink whose stream is gone are
    dropped.
    """

    def room(self) -> int:
        """How many bytes would leave at once; 0 while the peer does not take any."""

    def send_nowait(self, frames: bytes) -> None:
        """Take whole gRPC messages, in order; never blocks.

        With any room at all one message may exceed it: the sink keeps the rest, and there
        is no room again until it has left. One message may come without room, as the last.
        """

    def send_at_once(self, frames: bytes) -> bool:
        """Write whole gRPC messages now, in a write of their own.

        False, and nothing was taken, unless there is room for all of them and nothing waits.
        """

    async def wait_room(self) -> None:
        """Return when there is room. Cancelling it changes nothing."""
