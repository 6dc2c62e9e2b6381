"""Announcements that remember their reports."""

from __future__ import annotations

from fake_sink import make_clip

from audio_server.clips.clip import Clip
from audio_server.device.announcing import Hearing


class Told:
    """An announcement of so many packets."""

    def __init__(self, name: str = "note", packets: int = 40, priority: int = 0) -> None:
        self.id = name
        self.source: Clip = make_clip(packets, name)
        self.priority = priority
        self.reports: list[tuple[str, Hearing, str | None]] = []

    def report(self, device_id: str, hearing: Hearing, reason: str | None) -> None:
        self.reports.append((device_id, hearing, reason))

    @property
    def hearings(self) -> list[Hearing]:
        return [hearing for _, hearing, _ in self.reports]

    @property
    def reason(self) -> str | None:
        return self.reports[-1][2]

    def __repr__(self) -> str:
        return f"{self.id}/{self.priority}"
