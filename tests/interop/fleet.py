"""Devices with users who press at random, switch off and on, and look away; judged by the oracle.

Each device is a stock device on grpcio, and each has an oracle of its own, which is told all that
happens to it and says what the server did wrong.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from house import window
from stock_device import StockDevice

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import ReadingPaused, ReadingResumed
from audio_server.simulator.oracle import Oracle
from audio_server.simulator.verdict import Limits

TICK_S = 0.05
WINDOW_BYTES = 16_384
LIMITS = Limits(tolerance_s=0.5)
"""Twenty devices of seven threads each share one interpreter: what it adds is not the server's."""

BUTTONS = [*[Button.PLAY] * 5, *[Button.MODE] * 5, *[Button.STOP] * 2, Button.CONNECT, Button.NONE]
ACTIONS = [*[Action.PRESS] * 8, Action.HOLD, Action.RELEASE]


@dataclass(frozen=True)
class Tally:
    """What a run was made of, and what was wrong in it."""

    connections: int
    acks: int
    frames: int
    packets: int
    takes: int
    violations: list[str]


class RestlessUser:
    """One device and its user, in a thread, until `stop` is set."""

    def __init__(
        self, target: str, name: str, seed: int, modes: int, stop: threading.Event
    ) -> None:
        self.device = StockDevice(target, name, options=window(WINDOW_BYTES))
        self.oracle = Oracle(LIMITS, modes=modes)
        self.connections = 0
        self._mood = random.Random(seed)
        self._stop = stop
        self.device.observers.append(self.oracle.feed)
        self.thread = threading.Thread(target=self._live, name=name)

    def _live(self) -> None:
        while not self._stop.is_set():
            if self._mood.random() < 0.3:
                self._press()
            self.device.switch_on()
            self.connections += 1
            for _ in range(self._mood.choice((0, 1, 4, 12, 24))):
                self._act()
            self.device.switch_off()
            self._idle(self._mood.choice((0.0, 0.0, 0.003, 0.3)))

    def _act(self) -> None:
        if self._stop.is_set():
            return
        if self._mood.random() < 0.04:
            self._look_away()
        for _ in range(self._mood.choice((1, 1, 1, 2, 5))):
            self._press()
        self._idle(self._mood.choice((0.01, 0.1, 0.4, 0.8, 1.6)))

    def _press(self) -> None:
        self.device.press(self._mood.choice(BUTTONS), action=self._mood.choice(ACTIONS))

    def _look_away(self) -> None:
        """Read no sound for a while."""
        with self.device.changed:
            self.device.pause_reading()
            self.device.tell(ReadingPaused())
        self._idle(self._mood.uniform(0.5, 2.5))
        with self.device.changed:
            self.device.tell(ReadingResumed())
            self.device.resume_reading()

    def _idle(self, seconds: float) -> None:
        """Let time pass, for the oracle too."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0 and not self._stop.is_set():
            time.sleep(min(left_s, TICK_S))
            with self.device.changed:
                self.oracle.tick(time.monotonic())


def run_fleet(target: str, *, devices: int, seconds: float, modes: int, seed: int = 1) -> Tally:
    """Let so many devices live so long at a server that has so many modes."""
    stop = threading.Event()
    users = [
        RestlessUser(target, f"restless-{seed}-{number}", seed * 1000 + number, modes, stop)
        for number in range(devices)
    ]
    for user in users:
        user.thread.start()
    time.sleep(seconds)
    stop.set()
    for user in users:
        user.thread.join()
    return _tally(users)


def _tally(users: Sequence[RestlessUser]) -> Tally:
    devices = [user.device for user in users]
    packets = [packet for device in devices for stream in device.streams for packet in stream]
    return Tally(
        connections=sum(user.connections for user in users),
        acks=sum(len(device.acks) for device in devices),
        frames=sum(len(device.frames) for device in devices),
        packets=len(packets),
        takes=sum(packet.is_start for packet in packets),
        violations=[
            f"{user.device.id} at {violation.at_s:.3f}: {violation}"
            for user in users
            for violation in user.oracle.violations
        ],
    )
