"""The devices of a server, as its stream of changes reports them."""

from __future__ import annotations

import time
from typing import Any

from audio_server.client.words import Row


class Watched:
    """The present knowledge. `lost` is the reason for which no changes arrive, if there is one."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.lost: str | None = None
        self.counts: dict[str, int] | None = None
        """Of all devices of a cluster, of which only some are in `rows`."""
        self.missing: list[str] = []
        """Nodes of a cluster that give no answer."""
        self._ahead_s = 0.0

    def feed(self, event: str, document: dict[str, Any]) -> None:
        """Apply an event of the stream; one of an unknown name changes nothing."""
        if event not in ("all", "changes"):
            return
        if event == "all":
            self.rows.clear()
        self.rows.update({row["id"]: row for row in document.get("rows", ())})
        for device_id in document.get("gone", ()):
            self.rows.pop(device_id, None)
        if "counts" in document:
            self.counts, self.missing = document["counts"], document.get("missing", [])
        self._ahead_s = document.get("now", time.time()) - time.time()
        self.lost = None

    @property
    def now(self) -> float:
        """The time by the server's clock, in seconds since 1970."""
        return time.time() + self._ahead_s
