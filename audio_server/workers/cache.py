"""The knowledge of one worker about its devices: whether it has each, and its mode.

It follows the directory, which explains the rules; there is no I/O here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from audio_server.workers.messages import Changed, Granted, Moved

KNOWN_MAX = 100_000
"""How many devices a worker knows, besides those that are connected to it."""


@dataclass(slots=True)
class Known:
    """A device's newest tenure, as far as it has been heard of here. It is this worker's if there
    is a mode."""

    tenure: int
    mode: int | None = None


class OwnershipCache:
    """The knowledge of worker number `worker`; never forgets a device that `is_connected`."""

    def __init__(
        self, worker: int, is_connected: Callable[[str], bool], *, known_max: int = KNOWN_MAX
    ) -> None:
        self._worker = worker
        self._is_connected = is_connected
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._known_max = known_max

    def has(self, device_id: str) -> bool:
        """Whether the device is at this worker, as far as has been heard here."""
        known = self._known.get(device_id)
        return known is not None and known.mode is not None

    def mode(self, device_id: str) -> int:
        """The mode of a device that is here."""
        mode = self._known[device_id].mode
        assert mode is not None
        return mode

    def hear(self, news: Granted | Moved) -> bool:
        """Take an answer of the directory, unless it is known or out of date. Returns whether it
        was new."""
        known = self._known.get(news.device_id)
        if known is not None and news.tenure <= known.tenure:
            return False
        mode = news.mode if isinstance(news, Granted) else None
        self._learn(news.device_id, Known(news.tenure, mode))
        return True

    def change(self, device_id: str, mode: int) -> Changed:
        """Note the new mode of a device that is here; return the message for the directory."""
        known = self._known[device_id]
        known.mode = mode
        return Changed(self._worker, device_id, known.tenure, mode)

    def _learn(self, device_id: str, known: Known) -> None:
        self._known[device_id] = known
        self._known.move_to_end(device_id)
        if len(self._known) > self._known_max:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        device_id = next(iter(self._known))
        if self._is_connected(device_id):
            self._known.move_to_end(device_id)
        else:
            del self._known[device_id]
