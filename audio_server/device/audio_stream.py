"""The grammar of one audio stream: `(start middle* end)*`, kept on every path.

A device whose grammar is broken has no sound for the rest of its connection (device contract,
section 2), so everything that is sent on a stream passes this one small object. It knows whether a
take is open, and it alone closes one that was cut.
"""

from __future__ import annotations

import trio

from audio_server.device.audio_sink import AudioSink
from audio_server.wire.audio import CUT


class AudioStream:
    """One audio stream from the moment it is attached until it is lost.

    Takes follow one another on it. Before a take sends its first packet, `close_nowait` must
    have returned True: then the one before is closed.
    """

    __slots__ = ("_closed", "_gone", "_open", "_sink")

    def __init__(self, sink: AudioSink) -> None:
        self._sink = sink
        self._open = False
        self._gone = False
        self._closed: trio.Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether an `is_end` is owed: a take was begun, and its last packet was not sent."""
        return self._open

    def room(self) -> int:
        """How many bytes may be sent now."""
        return self._sink.room()

    async def wait_room(self) -> None:
        """Return when there is room. Cancelling it changes nothing."""
        await self._sink.wait_room()

    def send(self, frames: bytes, *, ends: bool) -> None:
        """Send packets of the one take that is on; `ends`: its last one is among them.

        On a stream that was lost this does nothing.
        """
        if not self._gone:
            self._sink.send_nowait(frames)
            self._set_open(not ends)

    def send_at_once(self, frames: bytes, *, ends: bool) -> bool:
        """As `send`, but now: whether there was room for all of it. If not, nothing was sent."""
        if self._gone or not self._sink.send_at_once(frames):
            return False
        if self._open is ends:
            self._set_open(not ends)
        return True

    def close_nowait(self) -> bool:
        """Close the open take, if any, with a packet of silence that ends it.

        Returns whether no take is open: False when there is no room for that packet; then call this
        again once there is.
        """
        if self._open and self._sink.room():
            self._sink.send_nowait(CUT)
            self._set_open(False)
        return not self._open

    async def close(self) -> None:
        """Close the take that is open, however long it takes to get room. Can be cancelled."""
        while not self.close_nowait():
            await self._sink.wait_room()

    def abandon(self) -> None:
        """Mark the stream as lost. An open take is closed all the same: a reader that still has the
        stream must find its end, and no later packet can carry it."""
        if self._open:
            self._sink.send_nowait(CUT)
        self._gone = True
        self._set_open(False)

    async def wait_closed(self) -> None:
        """Return when no take is open; another task closes it. Any number may wait."""
        if self._open:
            if self._closed is None:
                self._closed = trio.Event()
            await self._closed.wait()

    def _set_open(self, is_open: bool) -> None:
        self._open = is_open
        if self._closed is not None and not is_open:
            self._closed.set()
            self._closed = None
