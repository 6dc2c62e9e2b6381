"""What one worker knows of its devices: on which connection each is, and in which mode.

It follows the registry, which explains how; there is no I/O here.
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
    """A device's newest connection, as far as it has been heard of here, and its mode if that
    connection is at this worker."""

    connection: int
    mode: int = 0


class OwnershipCache:
    """The knowledge of worker number `worker`; never forgets a device that `is_connected`."""

    def __init__(
        self, worker: int, is_connected: Callable[[str], bool], *, known_max: int = KNOWN_MAX
    ) -> None:
        self._worker = worker
        self._is_connected = is_connected
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._known_max = known_max

    def newest(self, device_id: str) -> int:
        """The device's newest connection; 0 where none has been heard of."""
        known = self._known.get(device_id)
        return 0 if known is None else known.connection

    def mode(self, device_id: str) -> int:
        """The mode of a device whose newest connection is here."""
        return self._known[device_id].mode

    def hear(self, news: Granted | Moved) -> None:
        """Take in what the registry says, unless something newer is known."""
        if news.connection > self.newest(news.device_id):
            mode = news.mode if isinstance(news, Granted) else 0
            self._learn(news.device_id, Known(news.connection, mode))

    def change(self, device_id: str, mode: int) -> Changed:
        """A device that is here has a new mode; gives what the registry is to be told."""
        known = self._known[device_id]
        known.mode = mode
        return Changed(self._worker, device_id, known.connection, mode)

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
