"""Announcements to devices of one process, and what has become of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from audio_server.clips.clip import Clip
from audio_server.device.announcing import Hearing

KEPT = 64
"""Announcements of which the reports are kept, the newest; each has one for each of its devices."""


class Order(NamedTuple):
    """An announcement to be made: `id` is new, and stands for it in reports and events."""

    id: str
    sound: Clip
    priority: int = 0
    sha: str = ""
    """The SHA-256 of the sound's frames, where other processes may fetch them."""


class Report(NamedTuple):
    """What has become of an announcement on a device, and the reason in one line."""

    hearing: Hearing
    reason: str | None = None


Reports = Mapping[str, Report]
"""By the id of each device."""


class OwnAnnouncement:
    """An `Announcement` of this process. The reports outlive it, and its sound does not."""

    def __init__(self, order: Order, reports: dict[str, Report]) -> None:
        self.id = order.id
        self.source = order.sound
        self.priority = order.priority
        self._reports = reports

    def report(self, device_id: str, hearing: Hearing, reason: str | None) -> None:
        """Keep a report in the place of the one before."""
        self._reports[device_id] = Report(hearing, reason)


class Announcements:
    """The newest announcements."""

    def __init__(self) -> None:
        self._reports: OrderedDict[str, dict[str, Report]] = OrderedDict()

    def begin(self, order: Order) -> OwnAnnouncement:
        """Return an announcement of which the reports are kept."""
        reports = self._reports[order.id] = {}
        while len(self._reports) > KEPT:
            self._reports.popitem(last=False)
        return OwnAnnouncement(order, reports)

    def reports(self, announcement_id: str) -> Reports:
        """Return the newest report of each device that took an announcement; empty for an unknown
        id."""
        return self._reports.get(announcement_id, {})
