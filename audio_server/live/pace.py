"""The pace at which packets of a source are put into a channel."""

from __future__ import annotations

from typing import Final

import trio

from audio_server.wire.audio import PACKET_MS

AHEAD_S: Final = 0.5
FASTER: Final = 1.001
"""Sound may come so much before its time, and so much faster: a file that is sent as fast as it can
be is slowed down, and the clock of a live source is not."""

BEHIND_S: Final = 5.0
"""Sound that was held up on its way may come so late, and as fast as it can: then the channel is at
the edge of its source again."""

BYTES_A_S: Final = 128 * 1024
BURST_S: Final = 8.0
"""Bytes that are taken, twice those of any sound, and the burst of them: also an endless body
without sound takes little time of the loop."""


class Pace:
    """When the next packet is due: in real time, `AHEAD_S` before that at the beginning, and up to
    `BEHIND_S` late after a pause."""

    def __init__(self) -> None:
        now = self.heard_at = trio.current_time()
        """When a packet was due last."""
        self._due = now - AHEAD_S
        self._bytes_due = now - BURST_S

    async def took(self, size: int) -> None:
        """Bytes have come, sound or not: return when more may come, mostly at once."""
        now = trio.current_time()
        self._bytes_due = max(self._bytes_due, now - BURST_S) + size / BYTES_A_S
        if self._bytes_due > now:
            await trio.sleep_until(self._bytes_due)

    async def next(self) -> None:
        """Return when the next packet is due; at once for those up to `BEHIND_S` late."""
        now = trio.current_time()
        if self._due > now:  # else a turn of the loop for each packet would cost more than it
            await trio.sleep_until(self._due)
            now = trio.current_time()
        self.heard_at = now
        self._due = max(self._due, now - BEHIND_S) + PACKET_MS / 1000 / FASTER
