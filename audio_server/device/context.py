"""The parts that all devices of a server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import structlog

from audio_server.device.behaviour import Behaviour, DefaultBehaviour
from audio_server.device.events import DeviceEvent, Listener
from audio_server.device.instrumentation import Instrumentation, Outcome
from audio_server.device.mode_store import ModeStore
from audio_server.device.pace import Pace
from audio_server.device.playback import Playback, PlaybackFailed
from audio_server.device.player import Player
from audio_server.device.profile import Profile, ProfileOf
from audio_server.device.timer_wheel import LED_TICKS_PER_S, TimerWheel

Happening: TypeAlias = tuple[DeviceEvent, tuple[object, ...]]

log = structlog.get_logger()


@dataclass(slots=True)
class Context:
    """`fleet` is the profile of all devices but those for which `profile_of` returns another; None
    stands for no such devices. `timer_wheel` is for sound alone, `led_wheel` for LEDs; `ending` is
    set when takes have been ended for good."""

    fleet: Profile
    store: ModeStore
    behaviour: Behaviour = field(default_factory=DefaultBehaviour)
    meter: Instrumentation = field(default_factory=Instrumentation)
    timer_wheel: TimerWheel = field(init=False)
    led_wheel: TimerWheel = field(init=False)
    ending: bool = False
    listeners: tuple[Listener, ...] = ()
    profile_of: ProfileOf | None = None
    held: dict[str, list[Happening]] = field(init=False, default_factory=dict)
    _held_for: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.timer_wheel = TimerWheel(self.meter)
        self.led_wheel = TimerWheel(ticks_per_s=LED_TICKS_PER_S)

    def profile(self, device_id: str) -> Profile:
        """Return the profile that a device has from now on."""
        return self.fleet if self.profile_of is None else self.profile_of(device_id)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` for every event from now on."""
        self.listeners += (listener,)

    def unsubscribe(self, listener: Listener) -> None:
        """Call `listener` no longer; it may have been removed already."""
        self.listeners = tuple(one for one in self.listeners if one is not listener)

    def tell(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Report an event to the listeners; those of the device that are held go first."""
        if self.held:
            if device_id == self._held_for:
                self.held[device_id].append((kind, details))
                return
            self.tell_held(device_id)
        for listener in self.listeners:
            try:
                listener.happened(device_id, kind, *details)
            except Exception:  # a faulty listener must not end the device
                self._drop(listener)

    def hold(self, device_id: str) -> None:
        """Hold the events of a device from now on until `hold_no_more`, and tell them at
        `tell_held`, which the caller calls soon, or before the next event of the device.

        Where many devices begin at once, the sound of the last one waits for no listener.
        """
        self.held.setdefault(device_id, [])
        self._held_for = device_id

    def hold_no_more(self) -> None:
        """Tell events at once again."""
        device_id, self._held_for = self._held_for, None
        if device_id is not None and not self.held[device_id]:
            del self.held[device_id]

    def tell_held(self, device_id: str) -> None:
        """Report the events of a device that are held, in their order."""
        for kind, details in self.held.pop(device_id, ()):
            self.tell(device_id, kind, *details)

    def tell_changed(self, device_id: str) -> None:
        """Report that a visible property of a device has changed."""
        for listener in self.listeners:
            try:
                listener.changed(device_id)
            except Exception:  # as above
                self._drop(listener)

    def _drop(self, listener: Listener) -> None:
        log.exception("listener failed")
        self.unsubscribe(listener)

    def make_player(self, device_id: str, pace: Pace) -> Player:
        """Return a player for a device, which reports its takes to the listeners."""
        # Made of nothing that leads back to the device: that would be a cycle (`gc_policy`).
        return Player(pace, self.timer_wheel, self.meter, partial(_tell_take, self, device_id))


def _tell_take(
    context: Context,
    device_id: str,
    take: Playback,
    outcome: Outcome | None,
    failure: PlaybackFailed | None,
) -> None:
    name = take.source.name
    if outcome is None:
        context.tell(device_id, DeviceEvent.TAKE_STARTED, name)
    else:
        reason = None if failure is None else str(failure)
        played_s = take.position().played_s
        context.tell(device_id, DeviceEvent.TAKE_ENDED, name, outcome, played_s, reason)
