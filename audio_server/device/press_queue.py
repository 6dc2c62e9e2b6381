"""Presses on their way from requests to a device."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import trio

from audio_server.device.behaviour import Action, Button
from audio_server.device.bell import Bell


class Source(Protocol):
    """The call on which a press came."""

    @property
    def connection(self) -> int:
        """The number of its connection."""

    @property
    def has_ended(self) -> bool:
        """Whether a newer call of the device has ended it: its presses are void."""


@dataclass(frozen=True, slots=True, eq=False)
class Press:
    """Something done to a button, on its way from a request; `applied` tells it the end.

    An operator's press has no `source`.
    """

    button: Button
    action: Action
    applied: trio.Event
    source: Source | None = None

    @property
    def connection(self) -> int | None:
        """The connection on which it came."""
        return None if self.source is None else self.source.connection

    def is_void(self, left: int | None) -> bool:
        """Whether it came on a call that has ended, or on the connection that the device left."""
        source = self.source
        return source is not None and (source.has_ended or source.connection == left)


async def fault_of(work: Callable[[], Awaitable[NoReturn]]) -> Exception:
    """Run `work` until it fails; return its error.

    Raised in a nursery's block it would leave a cycle of trio's: the cancel of the other tasks
    refers to the frame that waits for them, and that frame to the error.
    """
    try:
        await work()
    except Exception as error:
        return error


class PressQueue:
    """The presses of a device that wait to be applied, and the fault of one that could not be."""

    __slots__ = ("_bell", "_fault", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Press] = []  # each with a request that waits: a handful at most
        self._bell = Bell()
        self._fault: Exception | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and nothing has failed."""
        return not self._waiting and self._fault is None

    def add(self, press: Press) -> None:
        """Have a press applied after those before it."""
        self._waiting.append(press)
        self._bell.ring()

    def drop_void(self, left: int | None) -> None:
        """Forget the presses of a call that a newer one has ended, and all those of a connection
        that the device has left, if it has; `applied` is never set."""
        self._waiting = [press for press in self._waiting if not press.is_void(left)]

    def fail(self, fault: Exception) -> None:
        """Have `next` raise the error of a press that was applied at once."""
        self._fault = fault
        self._bell.ring()

    def clear(self) -> None:
        """Forget the presses and the fault of a device that has ended: a press's call refers to
        the device, and so does the traceback."""
        self._waiting.clear()
        self._fault = None

    async def next(self) -> Press:
        """The press that has waited longest. Cancelling it loses none."""
        while self._fault is None:
            if self._waiting:
                return self._waiting.pop(0)
            await self._bell.wait()
        raise self._fault
