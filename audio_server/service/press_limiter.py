"""How fast the presses of one device are taken."""

from __future__ import annotations

import trio

from audio_server.rpc.rate_limit import Buckets, Rate, TokenBucket

PRESSES: Rate = (50, 20)
"""The default rate of presses."""


class PressLimiter:
    """Slows the presses of each device to a rate, over all of its connections.

    Nothing is lost: an acknowledgement waits, and flow control holds the rest back.
    """

    def __init__(self, rate: Rate = PRESSES) -> None:
        self._buckets = Buckets(rate)

    def free(self, device_id: str) -> TokenBucket | None:
        """Return the token to spend if the next press may be taken now."""
        now = trio.current_time()
        bucket = self._buckets.of(device_id, now)
        return bucket if bucket.has_token(now) else None

    async def wait(self, device_id: str) -> None:
        """Return when the next press may be taken. A checkpoint only if it has to wait."""
        now = trio.current_time()
        delay_s = self._buckets.of(device_id, now).book(now)
        if delay_s:
            await trio.sleep(delay_s)
