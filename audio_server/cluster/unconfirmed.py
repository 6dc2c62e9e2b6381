"""Modes that were put and are not known to be kept, and the patience of presses with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio


@dataclass(slots=True, eq=False)
class _Modes:
    """Those of one device."""

    count: int = 0
    over: trio.Event = field(default_factory=trio.Event)


class Unconfirmed:
    """The first press waits for `patience_s`; from then on none does, until a mode is confirmed.

    `slow` is called when patience ends.
    """

    def __init__(self, patience_s: float, slow: Callable[[], None]) -> None:
        self._patience_s = patience_s
        self._slow = slow
        self._modes: dict[str, _Modes] = {}
        self._is_slow = False

    def count(self, device_id: str) -> int:
        """How many modes of a device are not confirmed."""
        modes = self._modes.get(device_id)
        return 0 if modes is None else modes.count

    def devices(self) -> list[str]:
        """Return the ids of all devices with such modes."""
        return list(self._modes)

    def add(self, device_id: str) -> None:
        """A mode of a device was put."""
        self._modes.setdefault(device_id, _Modes()).count += 1

    def confirm(self, device_id: str, count: int = 1) -> None:
        """So many modes of a device, those that were put first, are kept."""
        self._is_slow = False
        self.drop(device_id, count)

    def drop(self, device_id: str, count: int | None = None) -> None:
        """So many modes, or all, will never be confirmed: wait for them no longer."""
        if (modes := self._modes.get(device_id)) is not None:
            modes.count -= modes.count if count is None else count
            if modes.count <= 0:
                self._modes.pop(device_id).over.set()

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
        return modes.count <= 0

    def lose_patience(self) -> None:
        """Let all presses go on that wait."""
        if not self._is_slow:
            self._is_slow = True
            self._slow()
            for modes in self._modes.values():
                modes.over.set()
                modes.over = trio.Event()
