"""The verdict on each duty: kept, broken with all that was seen, or not seen."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from audio_server.judge.duties import Duty

SEEN_MAX = 5
"""Details kept for a duty: a device that breaks it at every message says no more with more."""

BREACH_CHARS = 300
"""A breach may quote a device, which may say much."""


class Verdict(Enum):
    """The judgement of one duty."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_SEEN = "not seen"


class Findings:
    """All that was found out about one device. A duty that was broken once stays broken."""

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self._kept: set[Duty] = set()
        self._broken: dict[Duty, list[str]] = {}

    def kept(self, duty: Duty) -> None:
        """Note that the device did as a duty has it, where it could have failed to."""
        self._kept.add(duty)

    def broken(self, duty: Duty, seen: str) -> None:
        """Note a breach; `seen` is one line about it."""
        if len(seen) > BREACH_CHARS:
            seen = f"{seen[:BREACH_CHARS]}..."
        details = self._broken.setdefault(duty, [])
        if seen not in details and len(details) < SEEN_MAX:
            details.append(seen)

    def judge(self, duty: Duty, breach: str | None) -> None:
        """Note a breach, or without one that the duty was kept."""
        if breach is None:
            self.kept(duty)
        else:
            self.broken(duty, breach)

    def verdict(self, duty: Duty) -> Verdict:
        """Return the verdict on a duty."""
        if duty in self._broken:
            return Verdict.BROKEN
        return Verdict.KEPT if duty in self._kept else Verdict.NOT_SEEN

    def seen(self, duty: Duty) -> Sequence[str]:
        """Return the breaches of a duty, oldest first, each once."""
        return self._broken.get(duty, [])

    @property
    def is_clean(self) -> bool:
        """Whether no duty was broken."""
        return not self._broken
