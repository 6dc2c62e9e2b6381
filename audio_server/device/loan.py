"""A device that is lent: its calls are handled by a borrower for a while, then as before.

The device stays the same one meanwhile, with its mode and its history. Its calls move to the
borrower and back without an end that it would notice; those that it opens meanwhile are lent too.
"""

from __future__ import annotations

from typing import Any, Protocol

from audio_server.device.takeover import CallKind


class Request(Protocol):
    """The request of a call, as its device sees it."""

    def interrupt(self, error: Exception) -> None:
        """Have its handler raise `error` where it waits for a message, now or next time."""


class Borrower(Protocol):
    """Handles the calls of a device that is lent."""

    async def use(self, call: Any, kind: CallKind, owed: int) -> None:
        """Handle a call, an `rpc` call, until it ends or is given back. Of its requests on a status
        call the device still owes `owed` answers."""

    def stop(self) -> None:
        """The server is stopping: send the `is_end` of an open take before this returns, and no
        other take."""

    def lost(self, reason: str) -> None:
        """The device is gone from this process, for that reason."""


class Loan:
    """A time in which a device is lent. Once it `is_over`, calls are handled as before."""

    __slots__ = ("borrower", "is_over")

    def __init__(self, borrower: Borrower) -> None:
        self.borrower = borrower
        self.is_over = False


class Lent(Exception):
    """Raised in the handler of a call whose device is lent; `owed` is as `Borrower.use` has it."""

    def __init__(self, loan: Loan) -> None:
        super().__init__("the device is lent")
        self.loan = loan
        self.owed = 0
