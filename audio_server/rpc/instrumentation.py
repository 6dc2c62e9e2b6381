"""Counts that a server reports of its connections and calls."""

from __future__ import annotations

from grpclib.const import Status


class Instrumentation:
    """Counts nothing: subclass it. Every method is called in the midst of an event; none may block.

    Reasons are a few fixed words each, never a peer's own text.
    """

    def connection_opened(self) -> None:
        """A connection was let in."""

    def connection_closed(self) -> None:
        """One that was let in is over."""

    def connection_refused(self, reason: str) -> None:
        """One was closed before it began."""

    def connection_dropped(self, reason: str) -> None:
        """One was ended by us, for something that its peer did or did not do."""

    def request_refused(self, reason: str) -> None:
        """A request came to no handler."""

    def call_begun(self, path: str) -> None:
        """A request was accepted, for the method of this path."""

    def call_ended(self, path: str, status: Status) -> None:
        """A call that had begun is over; `status` is the one for the client, sent or not."""
