"""The sounds and rules of a device: those of the fleet, or others of its group or its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Rules
from audio_server.device.leds import FULL_BRIGHTNESS
from audio_server.device.pace import Pace


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """The same object for all devices that have the same settings. `clips[i]` is the sound of mode
    `i`, and `rules.clips` is their number; `brightness` of the LEDs is in percent."""

    clips: Sequence[AudioSource]
    rules: Rules
    pace: Pace
    brightness: int = FULL_BRIGHTNESS


ProfileOf: TypeAlias = Callable[[str], Profile]
"""Returns the profile of a device, by its id; must not block, and raise nothing."""
