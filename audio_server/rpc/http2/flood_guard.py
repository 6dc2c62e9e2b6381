"""Bounds on frames that are legal one by one and an attack in numbers.

The forms are those of nghttp2 (buckets for resets and for odd frames), of Envoy (empty DATA,
PRIORITY, WINDOW_UPDATE) and of gRPC's C core (PING strikes); the numbers are in `Limits`.
"""

from __future__ import annotations

from h2.errors import ErrorCodes

from audio_server.rpc.errors import PeerError
from audio_server.rpc.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_STREAM,
    FRAME_HEADER_BYTES,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
)
from audio_server.rpc.limits import Limits
from audio_server.rpc.rate_limit import Rate, TokenBucket

_FIRST_COUNTED_STREAM = 17
"""A device opens three calls, and some again: most connections need no bucket for them."""


class FloodGuard:
    """Counts the frames of one peer. Every method raises `PeerError` ENHANCE_YOUR_CALM past a
    limit."""

    __slots__ = ("_buckets", "_limits", "_pinged_at", "_strikes")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buckets: dict[str, TokenBucket] = {}  # most peers need none
        self._pinged_at: float | None = None
        self._strikes = 0

    def note(self, frame: Frame, now: float, *, answered: bool) -> None:
        """A frame has come; `answered`: we have sent headers or data since the last PING."""
        kind = frame.type
        if kind == DATA:
            if len(frame.raw) == FRAME_HEADER_BYTES and not frame.flags & END_STREAM:
                self._take("empty DATA", self._limits.empty_data, now)
        elif kind == PING and not frame.flags & ACK:
            self._note_ping(now, answered)
        elif kind == RST_STREAM:
            self.note_reset(now)
        elif kind == SETTINGS:
            self._note_settings(frame, now)
        elif kind == PRIORITY:
            self._take("PRIORITY", self._limits.priorities, now)
        elif kind == WINDOW_UPDATE:
            self._take("WINDOW_UPDATE", self._limits.window_updates, now)
        elif kind not in (HEADERS, CONTINUATION):
            self._take("odd frames", self._limits.odd_frames, now)

    def note_reset(self, now: float) -> None:
        """A stream was reset by the peer, or by us for its fault."""
        self._take("resets", self._limits.resets, now)

    def _note_settings(self, frame: Frame, now: float) -> None:
        self._take("SETTINGS", self._limits.settings, now)
        if len(frame.payload) > 6 * self._limits.max_settings:
            raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, "too many values in SETTINGS")

    def _note_ping(self, now: float, answered: bool) -> None:
        last, self._pinged_at = self._pinged_at, now
        if answered or last is None:
            self._strikes = 0
        elif now - last < self._limits.ping_apart_s:
            self._strikes += 1
            if self._strikes > self._limits.ping_strikes:
                raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, "too_many_pings")

    def delay_s(self, stream_id: int, now: float) -> float:
        """Return the time for which reading must pause after a new call, so that calls keep their
        rate."""
        if stream_id < _FIRST_COUNTED_STREAM:
            return 0.0
        delay_s = self._bucket("calls", self._limits.calls, now).book(now)
        if delay_s > self._limits.max_pause_s:
            raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, "too many calls")
        return delay_s

    def _take(self, what: str, rate: Rate, now: float) -> None:
        if not self._bucket(what, rate, now).take(now):
            raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, f"too many {what}")

    def _bucket(self, what: str, rate: Rate, now: float) -> TokenBucket:
        bucket = self._buckets.get(what)
        if bucket is None:
            bucket = self._buckets[what] = TokenBucket(rate, now)
        return bucket
