"""Deadlines of a peer: a sign of life, its preface, the end of a header block, a call, and the
proof of its identity."""

from __future__ import annotations

from math import ceil

from h2.errors import ErrorCodes

from audio_server.rpc.errors import PeerError, PeerSilentError
from audio_server.rpc.http2.frames import FrameReader
from audio_server.rpc.limits import Limits

_COMPANY_S = 0.25
"""How long a look for a sign of life may wait for company. Not longer: of thousands a turn of the
loop is to meet a few dozen."""

_SHARE = 20
"""A short keepalive is put off by such a part of itself at most."""


_IDENTIFY_S = 1.0
"""A handler that knows whose its call is says so in its first step."""


class PeerTimers:
    """Knows which deadlines of a peer have passed. Times are trio's; it wakes no task."""

    __slots__ = ("_block_since", "_frames", "_limits", "_pinged_at",
                 "_unidentified_since", "called_at", "received_at", "started_at")  # fmt: skip

    def __init__(self, limits: Limits, frames: FrameReader, now: float) -> None:
        self._limits = limits
        self._frames = frames
        self.started_at = now
        """When the connection began."""
        self._pinged_at: float | None = None
        self._block_since: float | None = None
        self._unidentified_since: float | None = None
        self.received_at = now
        """When the peer last said anything; any bytes are a sign of life."""
        self.called_at = now
        """When its last call ended."""

    def on_readable(self, now: float) -> None:
        """The peer has sent something."""
        self.received_at = now
        self._pinged_at = None

    def watch_block(self) -> float | None:
        """The frames heard have been read: when a header block begun in them is due to end."""
        if not self._frames.in_header_block:
            self._block_since = None
        elif self._block_since is None:
            self._block_since = self.received_at
            return self._block_due_at(self.received_at)
        return None

    def identities_due_at(self, now: float) -> float:
        """More calls are unidentified than may be for long; return when they have to be fewer."""
        if self._unidentified_since is None:
            self._unidentified_since = now
        return self._unidentified_since + _IDENTIFY_S

    def identities_settled(self) -> None:
        """No more calls are unidentified than may be."""
        self._unidentified_since = None

    def next_at(self, *, idle: bool) -> float:
        """When `check` has something to say; `idle`: a connection with no call is in question."""
        due = [self._life_due_at()]
        if not self._frames.settled:
            due.append(self.started_at + self._limits.preface_s)
        if self._block_since is not None:
            due.append(self._block_due_at(self._block_since))
        if self._unidentified_since is not None:
            due.append(self._unidentified_since + _IDENTIFY_S)
        if idle:
            due.append(self.called_at + self._limits.idle_s)
        return min(due)

    def check(self, now: float, *, idle: bool) -> bool:
        """Whether it is time for a PING.

        Raises `PeerSilentError` when a sign of life did not come, and `PeerError` when the peer
        had its time for something else that it owes.
        """
        limits = self._limits
        if not self._frames.settled and now >= self.started_at + limits.preface_s:
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "no preface in time")
        if self._block_since is not None and now >= self._block_due_at(self._block_since):
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "a header block was not ended in time")
        if (since := self._unidentified_since) is not None and now >= since + _IDENTIFY_S:
            raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, "too many calls without an identity")
        if idle and now >= self.called_at + limits.idle_s:
            raise PeerError(ErrorCodes.NO_ERROR, "no call for a long time")
        if now < self._life_due_at():
            return False
        if self._pinged_at is not None:
            raise PeerSilentError("the peer did not answer a PING")
        self._pinged_at = now
        return True

    def _life_due_at(self) -> float:
        if self._pinged_at is None:
            return self._in_company(self.received_at + self._limits.keepalive_s)
        return self._pinged_at + self._limits.keepalive_answer_s

    def _in_company(self, when: float) -> float:
        """A little later, when others are looked at too: to wake for one costs as for many."""
        step_s = min(_COMPANY_S, self._limits.keepalive_s / _SHARE)
        return ceil(when / step_s) * step_s

    def _block_due_at(self, since: float) -> float:
        return since + self._limits.header_block_s
