"""Devices as their node knows them, so that it can go on without the engine."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LEFT_MAX = 10_000
"""Devices that have left, of which the mode is known here while the engine is down."""


@dataclass(slots=True, eq=False)
class Known:
    """A device that was granted here, or let in. Times are of the process."""

    epoch: int = 0
    """0 for a provisional device, which was let in without a grant."""

    mode: int = 0
    is_here: bool = False
    let_in_at: float | None = None
    """The newest call that was let in without asking the engine, since the last grant."""

    pressed_at: float | None = None
    """The newest mode that was put, since the last grant."""

    def facts(self, now: float) -> tuple[int, ...]:
        """Return the arguments of a reclaim."""
        ages = age_us(now, self.let_in_at), age_us(now, self.pressed_at)
        return (self.epoch, self.mode, int(self.is_here), *ages)


def age_us(now: float, then: float | None) -> int:
    """Return the microseconds since `then`; -1 for never."""
    return -1 if then is None else max(0, int((now - then) * 1e6))


class KnownDevices:
    """Those that are connected, and the last ones that were. `provisional` is called with the
    number of those that are connected without a grant, when it changes."""

    def __init__(self, provisional: Callable[[int], None]) -> None:
        self._here: dict[str, Known] = {}
        self._left: OrderedDict[str, Known] = OrderedDict()
        self._provisional: set[str] = set()
        self._tell = provisional

    def get(self, device_id: str) -> Known | None:
        """Return a device."""
        return self._here.get(device_id) or self._left.get(device_id)

    def here(self) -> Iterator[str]:
        """Yield the ids of those that are connected."""
        yield from self._here

    def hold(self, device_id: str, epoch: int, mode: int) -> Known:
        """Note that a device is connected, in that epoch and mode, and return it."""
        known = self.get(device_id) or Known()
        known.epoch, known.mode, known.is_here = epoch, mode, True
        self._left.pop(device_id, None)
        self._here[device_id] = known
        self._note(device_id)
        return known

    def reclaimed(self, device_id: str, epoch: int) -> Known:
        """Note that a device is the node's in that epoch, connected or not, and return it."""
        known = self.get(device_id)
        assert known is not None
        known.epoch, known.let_in_at = epoch, None
        self._note(device_id)
        return known

    def leave(self, device_id: str) -> str | None:
        """Note that a device is not connected. Returns one that is too many, if there is."""
        if (known := self._here.pop(device_id, None)) is None:
            return None
        known.is_here = False
        self._left[device_id] = known
        self._note(device_id)
        return next(iter(self._left)) if len(self._left) > LEFT_MAX else None

    def forget(self, device_id: str) -> None:
        """Drop a device."""
        self._here.pop(device_id, None)
        self._left.pop(device_id, None)
        self._note(device_id)

    def _note(self, device_id: str) -> None:
        known, count = self._here.get(device_id), len(self._provisional)
        if known is not None and not known.epoch:
            self._provisional.add(device_id)
        else:
            self._provisional.discard(device_id)
        if len(self._provisional) != count:
            self._tell(len(self._provisional))
