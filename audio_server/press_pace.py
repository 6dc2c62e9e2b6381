"""How fast the presses of one device are taken."""

from __future__ import annotations

import trio

from audio_server.rpc.limits import Limits
from audio_server.rpc.rates import Buckets, Rate, TokenBucket

PRESSES = Limits().presses
"""How fast they are taken if nobody says otherwise."""


class PressPace:
    """Slows the presses of each device to a rate, whatever connections they come on.

    Nothing is lost: an acknowledgement waits, and flow control holds the rest back.
    """

    def __init__(self, rate: Rate = PRESSES) -> None:
        self._buckets = Buckets(rate)

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
        return self._buckets.of(device_id, trio.current_time())
