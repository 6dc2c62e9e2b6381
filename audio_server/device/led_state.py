"""The LEDs that a device should show, and the state behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from audio_server.device.behaviour import State
from audio_server.device.leds import Frame, LedFrame


class LedState(NamedTuple):
    """The state of a device, and its LEDs: `frame` is made of `state`, but while `greeting` is the
    number of a start-up sequence it is a frame of that. `looks` grows with each request to read
    the LEDs back."""

    state: State
    frame: LedFrame
    greeting: int | None = None
    looks: int = 0

    @classmethod
    def of(cls, state: State, frame: Frame) -> LedState:
        """Return the state of LEDs that show `frame`, which is made of `state`."""
        return cls(state, LedFrame(frame))

    def showing(
        self, state: State, leds: Callable[[State], Frame], *, again: bool = False
    ) -> LedState:
        """Return the LEDs that show `state`; `self` if they do so already, unless `again`."""
        if self.state == state and self.greeting is None and not again:
            return self
        frame = LedFrame(leds(state), self.frame.serial + again)
        return LedState(state, frame, looks=self.looks)

    def greeted_with(self, frame: Frame, greeting: int) -> LedState:
        """A frame of the start-up sequence is shown."""
        return LedState(self.state, LedFrame(frame, self.frame.serial), greeting, self.looks)

    def looked(self) -> LedState:
        """Return the state with a request to read the LEDs back."""
        return self._replace(looks=self.looks + 1)
