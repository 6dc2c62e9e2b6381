"""How fast the presses of one device are taken."""

from __future__ import annotations

import trio

from audio_server.rpc.limits import Limits
from audio_server.rpc.rates import Rate, TokenBucket

PRESSES = Limits().presses
"""How fast they are taken if nobody says otherwise."""

_KEPT = 1024
"""Buckets kept before those that say nothing any more are looked for."""


class PressPace:
    """Slows the presses of each device to a rate, whatever connections they come on.

    Nothing is lost: an acknowledgement waits, and flow control holds the rest back.
    """

    def __init__(self, rate: Rate = PRESSES) -> None:
        self._rate = rate
        self._buckets: dict[str, TokenBucket] = {}
        self._sweep_at = _KEPT

    def is_free(self, device_id: str) -> bool:
        """Whether the next press may be taken now."""
        return self._bucket(device_id).has_token(trio.current_time())

    def take(self, device_id: str) -> None:
        """A press has been taken that might be."""
        self._bucket(device_id).take(trio.current_time())

    async def wait(self, device_id: str) -> None:
        """Return when the next press may be taken. A checkpoint only if it has to wait."""
        delay_s = self._bucket(device_id).book(trio.current_time())
        if delay_s:
            await trio.sleep(delay_s)

    def _bucket(self, device_id: str) -> TokenBucket:
        bucket = self._buckets.get(device_id)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep()
            bucket = self._buckets[device_id] = TokenBucket(self._rate, trio.current_time())
        return bucket

    def _sweep(self) -> None:
        """Forget full buckets, for a new one is as full."""
        now = trio.current_time()
        self._buckets = {
            device_id: bucket
            for device_id, bucket in self._buckets.items()
            if not bucket.is_full(now)
        }
        self._sweep_at = max(_KEPT, 2 * len(self._buckets))
