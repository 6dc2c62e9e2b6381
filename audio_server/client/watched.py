"""The devices of a server as its stream of changes tells of them."""

from __future__ import annotations

import time
from typing import Any

from audio_server.client.words import Row


class Watched:
    """What is known by now. `lost` says why nothing new comes, where it does not."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.lost: str | None = None
        self._ahead_s = 0.0

    def feed(self, event: str, document: dict[str, Any]) -> None:
        """Take what the stream says; an event of an unknown name says nothing."""
        if event not in ("all", "changes"):
            return
        if event == "all":
            self.rows.clear()
        self.rows.update({row["id"]: row for row in document.get("rows", ())})
        for device_id in document.get("gone", ()):
            self.rows.pop(device_id, None)
        self._ahead_s = document.get("now", time.time()) - time.time()
        self.lost = None

    @property
    def now(self) -> float:
        """The time by the server's clock, in seconds since 1970."""
        return time.time() + self._ahead_s
