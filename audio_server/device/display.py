"""The LEDs of one device: the frame that they should show, and the start-up sequence.

Fast path: the start-up sequence is no task, because thousands of devices that come at once would
each wake five times. The timer wheel performs its steps, on ticks that all devices share, and hands
an error of a step to the intake of presses, which raises it. Invariant: each frame is shown at the
first tick at or after its time. Benchmark: docs/performance.md, "Arrivals".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from audio_server.device.behaviour import State
from audio_server.device.context import Context
from audio_server.device.events import DeviceEvent
from audio_server.device.led_state import LedState
from audio_server.device.leds import FULL_BRIGHTNESS, STARTUP, Frame, dimmed, startup_frame
from audio_server.device.press_queue import PressQueue
from audio_server.device.timer_wheel import Timer

_PRESSED = -1
"""In place of a connection: no start-up sequence is due, for a press came first."""


class Display:
    """The LEDs that a device should show, at a `brightness` in percent. `watcher` is called with
    each change of `status`.

    It does not refer to the device, which refers to it: that would be a cycle (`gc_policy`). The
    device calls `end_startup` at its end.
    """

    __slots__ = (
        "_context",
        "_device_id",
        "_greeted_on",
        "_greetings",
        "_presses",
        "_startup",
        "brightness",
        "status",
        "watcher",
    )

    def __init__(
        self,
        device_id: str,
        context: Context,
        presses: PressQueue,
        state: State,
        brightness: int = FULL_BRIGHTNESS,
    ) -> None:
        self.brightness = brightness
        self.watcher: Callable[[], None] | None = None
        self._context = context
        self.status = LedState.of(state, self._leds(state))
        self._device_id = device_id
        self._presses = presses
        self._greeted_on: int | None = None
        self._greetings = 0
        self._startup: Timer | None = None  # while the sequence lasts

    def show(self, state: State, *, again: bool = False, greeting: bool = False) -> None:
        """Show a state; a start-up sequence goes on first where `greeting` allows it. `again` sends
        a frame that is shown already."""
        status = self.status
        if greeting and status.greeting is not None:
            self._set(status._replace(state=state))
            return
        shown = status.showing(state, self._leds, again=again)
        if shown is not status:
            if shown.frame != status.frame:
                self._context.tell(self._device_id, DeviceEvent.LEDS, shown.frame.leds)
            self._set(shown)

    def use_brightness(self, brightness: int) -> None:
        """Show the state at another brightness, now or after the start-up sequence."""
        if brightness != self.brightness:
            self.brightness = brightness
            self.show(self.status.state, again=True, greeting=True)

    def _leds(self, state: State) -> Frame:
        return dimmed(self._context.behaviour.leds(state), self.brightness)

    def look(self) -> None:
        """Ask the device for its LEDs, once it has shown the present frame."""
        self._set(self.status.looked())

    def greet(self, connection: int) -> None:
        """A status call reads frames: unless done for its connection, run the start-up sequence."""
        was, self._greeted_on = self._greeted_on, connection
        if was not in (connection, _PRESSED):
            self._greetings += 1
            self._context.tell(self._device_id, DeviceEvent.LEDS, None)
            first = dimmed(STARTUP[0][1], self.brightness)
            self._set(self.status.greeted_with(first, self._greetings))
            self._start_startup(self._greetings)

    def need_no_greeting(self) -> None:
        """A press has come before the status call of its connection: that gets no sequence."""
        self._greeted_on = _PRESSED

    def greet_anew(self) -> None:
        """The status call has ended: the next one is greeted, whatever its connection."""
        self._greeted_on = None

    def _set(self, status: LedState) -> None:
        if status.greeting != self.status.greeting:
            self.end_startup()
        self.status = status
        if self.watcher is not None:
            self.watcher()

    def _start_startup(self, greeting: int) -> None:
        show = partial(self._show_startup, greeting, trio.current_time())
        until = trio.current_time() + STARTUP[0][0]
        self._startup = self._context.led_wheel.start(until, show, self._startup_failed)

    def _show_startup(self, greeting: int, began: float, now: float) -> float | None:
        shown = startup_frame(now - began)
        if shown is None:
            self.show(self.status.state)
            return None
        frame, until_s = shown
        self._set(self.status.greeted_with(dimmed(frame, self.brightness), greeting))
        return began + until_s

    def _startup_failed(self) -> None:
        timer, self._startup = self._startup, None
        if timer is not None and timer.error is not None:
            self._presses.fail(timer.error)

    def end_startup(self) -> None:
        """Stop the sequence; the LEDs stay as they are."""
        timer, self._startup = self._startup, None
        if timer is not None:
            timer.cancel()
