"""What all devices of a server share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Rules
from audio_server.device.events import EventKind, Listener
from audio_server.device.instrumentation import Instrumentation, Outcome
from audio_server.device.mode_store import ModeStore
from audio_server.device.playback import Pace, Playback, PlaybackFailed
from audio_server.device.player import Player
from audio_server.device.timer_wheel import TimerWheel

log = structlog.get_logger()


@dataclass(slots=True)
class Context:
    """`ending` is set when takes have been ended for good."""

    clips: Sequence[Clip]
    rules: Rules
    pace: Pace
    store: ModeStore
    meter: Instrumentation = field(default_factory=Instrumentation)
    timer_wheel: TimerWheel = field(init=False)
    ending: bool = False
    observer: Listener | None = None

    def __post_init__(self) -> None:
        self.timer_wheel = TimerWheel(self.meter)

    def tell(self, device_id: str, kind: EventKind, *details: object) -> None:
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
        return Player(self.pace, self.timer_wheel, self.meter, observe)


def _tell_take(
    common: Context,
    device_id: str,
    take: Playback,
    outcome: Outcome | None,
    failure: PlaybackFailed | None,
) -> None:
    name = take.clip.name
    if outcome is None:
        common.tell(device_id, EventKind.TAKE_STARTED, name)
    else:
        reason = None if failure is None else str(failure)
        played_s = take.position().played_s
        common.tell(device_id, EventKind.TAKE_ENDED, name, outcome, played_s, reason)
