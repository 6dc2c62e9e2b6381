"""What a server tells of its connections and calls to whoever counts them."""

from __future__ import annotations

from grpclib.const import Status


class Instrumentation:
    """Counts nothing: subclass it. Every method is called where it happens, and must not block.

    Reasons are a few fixed words each, never what a peer has sent.
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
        """A call that had begun is over; `status` is what the client was told, or would be."""
