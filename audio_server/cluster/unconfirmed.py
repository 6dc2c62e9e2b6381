"""Modes that were put and are not known to be kept, and the patience of presses with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import trio


@dataclass(slots=True, eq=False)
class _Modes:
    """Those of one device."""

    newest: int = 0
    over: trio.Event = field(default_factory=trio.Event)


class Unconfirmed:
    """The first press waits for `patience_s`; from then on none does, until a mode is confirmed.

    `slow` is called when patience ends. Each mode has a number, larger than those before it, so
    that an answer which comes late confirms no mode that was put since.
    """

    def __init__(self, patience_s: float, slow: Callable[[], None]) -> None:
        self._patience_s = patience_s
        self._slow = slow
        self._modes: dict[str, _Modes] = {}
        self._numbers = count(1)
        self._is_slow = False

    def newest(self, device_id: str) -> int:
        """Return the number of the last mode of a device; 0 if all modes are confirmed."""
        modes = self._modes.get(device_id)
        return 0 if modes is None else modes.newest

    def devices(self) -> list[str]:
        """Return the ids of all devices with such modes."""
        return list(self._modes)

    def add(self, device_id: str) -> int:
        """A mode of a device was put. Returns its number."""
        modes = self._modes.setdefault(device_id, _Modes())
        modes.newest = next(self._numbers)
        return modes.newest

    def confirm(self, device_id: str, number: int) -> None:
        """The modes of a device are kept, up to that number."""
        self._is_slow = False
        if 0 < self.newest(device_id) <= number:
            self.drop(device_id)

    def drop(self, device_id: str) -> None:
        """The modes of a device will never be confirmed: wait for them no longer."""
        if (modes := self._modes.pop(device_id, None)) is not None:
            modes.over.set()

    async def wait(self, device_id: str) -> bool:
        """Return when all modes of a device are confirmed, and then True; False if there is no
        patience left. Does not yield without a reason to wait."""
        if (modes := self._modes.get(device_id)) is None:
            return True
        if not self._is_slow:
            with trio.move_on_after(self._patience_s) as patience:
                await modes.over.wait()
            if patience.cancelled_caught:
                self.lose_patience()
        return self._modes.get(device_id) is not modes

    def lose_patience(self) -> None:
        """Let all presses go on that wait."""
        if not self._is_slow:
            self._is_slow = True
            self._slow()
            for modes in self._modes.values():
                modes.over.set()
                modes.over = trio.Event()
