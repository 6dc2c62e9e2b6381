"""The progress of a connection of the pages: it decides which one gives way when all places are
taken.

A request finds its connection's visit in the ASGI scope (`visit_of`), so that the access control
can report that it lets the request in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final

STATE_KEY: Final = "visit"


class Stage(IntEnum):
    """Those that come first give way first."""

    SILENT = 0
    """No request has come yet."""

    IDLE = 1
    """The last request was answered."""

    ASKING = 2
    """A request has begun; it was not let in yet, or its body has not come."""

    SERVED = 3
    """A request that was let in and came whole is answered. It never gives way, so there are never
    as many as there are places."""


class Visit:
    """One connection. `end` closes it, `moved` is called at each change of `stage`, and `has_room`
    returns whether one more may be served."""

    __slots__ = (
        "_has_room",
        "_is_admitted",
        "_is_whole",
        "_moved",
        "end",
        "is_known",
        "is_near",
        "place",
        "stage",
    )

    def __init__(
        self,
        place: str,
        end: Callable[[], None],
        moved: Callable[[Visit], None],
        has_room: Callable[[], bool],
        *,
        is_near: bool,
    ) -> None:
        self.place = place
        self.end = end
        self.is_near = is_near
        self._moved = moved
        self._has_room = has_room
        self._is_admitted = self._is_whole = False
        self.stage = Stage.SILENT
        self.is_known = False
        """Whether any of its requests was let in."""

    def begin(self) -> None:
        """The head of a request has come."""
        self._is_admitted = self._is_whole = False
        self._move(Stage.ASKING)

    def admit(self) -> bool:
        """Note that the request was let in, for a path that is not open to every client. False
        where the number of those is at its bound: then the request must be refused."""
        self.is_known = True
        if not self._has_room():
            return False
        self._is_admitted = True
        self._serve_when_ready()
        return True

    def complete(self) -> None:
        """The request has come whole."""
        self._is_whole = True
        self._serve_when_ready()

    def rest(self) -> None:
        """The request is answered; another one may come."""
        self._move(Stage.IDLE)

    def _serve_when_ready(self) -> None:
        if self._is_admitted and self._is_whole:
            self._move(Stage.SERVED)

    def _move(self, stage: Stage) -> None:
        if stage is not self.stage:
            self.stage = stage
            self._moved(self)


def visit_of(scope: Mapping[str, Any]) -> Visit | None:
    """The visit that a request belongs to; None where there is no connection, as in tests."""
    visit = scope.get("state", {}).get(STATE_KEY)
    return visit if isinstance(visit, Visit) else None
