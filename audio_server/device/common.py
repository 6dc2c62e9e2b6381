"""What all devices of a server share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from audio_server.clips.clip import Clip
from audio_server.device.meter import Meter, Outcome
from audio_server.device.metronome import Metronome
from audio_server.device.modes import ModeStore
from audio_server.device.observer import Kind, Observer
from audio_server.device.player import Player
from audio_server.device.rules import Rules
from audio_server.device.take import Pace, Take, TakeFailed

log = structlog.get_logger()


@dataclass(slots=True)
class Common:
    """`ending` is set when takes have been ended for good."""

    clips: Sequence[Clip]
    rules: Rules
    pace: Pace
    store: ModeStore
    meter: Meter = field(default_factory=Meter)
    metronome: Metronome = field(init=False)
    ending: bool = False
    observer: Observer | None = None

    def __post_init__(self) -> None:
        self.metronome = Metronome(self.meter)

    def tell(self, device_id: str, kind: Kind, *details: object) -> None:
        """Something has happened to a device."""
        if self.observer is None:
            return
        try:
            self.observer.happened(device_id, kind, *details)
        except Exception:  # whatever is wrong there, devices go on
            log.exception("observer failed")
            self.observer = None

    def tell_changed(self, device_id: str) -> None:
        """What is to be seen of a device has changed."""
        if self.observer is not None:
            self.observer.changed(device_id)

    def make_player(self, device_id: str) -> Player:
        """A player for a device; its takes are told if anybody observes by now."""
        # Made of nothing that leads back to the device: that would be a cycle (`collector`).
        observe = partial(_tell_take, self, device_id) if self.observer else None
        return Player(self.pace, self.metronome, self.meter, observe)


def _tell_take(
    common: Common,
    device_id: str,
    take: Take,
    outcome: Outcome | None,
    failure: TakeFailed | None,
) -> None:
    name = take.clip.name
    if outcome is None:
        common.tell(device_id, Kind.TAKE_STARTED, name)
    else:
        reason = None if failure is None else str(failure)
        played_s = take.position().played_s
        common.tell(device_id, Kind.TAKE_ENDED, name, outcome, played_s, reason)
