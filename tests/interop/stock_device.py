"""A stock device on grpcio, gRPC's C core: it behaves as the device contract tells (section 2).

grpcio's calls block, so each is attended by a thread, and what the threads see is told under one
lock, in the order in which it happens. Tests wait for what they expect with `wait`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import grpc
from stock_session import Options, StockSession

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import (
    Call,
    CallLost,
    CallReopened,
    Connected,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    Observer,
    PacketReceived,
)

T = TypeVar("T")


class Frame(NamedTuple):
    """A `set` and when it came; None is an LED that was left out."""

    at_s: float
    leds: tuple[int | None, ...]


class Ack(NamedTuple):
    """An answered event."""

    sent_s: float
    at_s: float
    event: EventSent
    ack: bool


class Packet(NamedTuple):
    """An audio packet and when it was read."""

    at_s: float
    is_start: bool
    is_end: bool
    data: bytes


class StockDevice:
    """One device. What it saw stays readable when it is off; `switch_off` before it is dropped.

    `streams` holds the packets of each audio stream that it ever opened. `ended` tells with which
    status each call ended that did not end by switching off, and `replaced` the same of calls that
    had been opened again by then. With `channel_each` every call has a channel of its own. `asked`
    has the times at which it was asked for its LEDs.
    """

    def __init__(
        self, target: str, device_id: str, *, options: Options = (), channel_each: bool = False
    ) -> None:
        self.id = device_id
        self.target = target
        self.frames: list[Frame] = []
        self.acks: list[Ack] = []
        self.streams: list[list[Packet]] = []
        self.ended: dict[Call, grpc.StatusCode] = {}
        self.replaced: list[tuple[Call, grpc.StatusCode]] = []
        self.observers: list[Observer] = []
        self.session: StockSession | None = None
        self.reads_audio = True
        self.answers = True
        self.asked: list[float] = []
        self.draws_wrongly = False
        self._options = options
        self._channel_each = channel_each
        self._presses: deque[EventSent] = deque()
        self._sent: tuple[float, EventSent] | None = None
        self.changed = threading.Condition(threading.RLock())

    # What its user does

    def switch_on(self, *calls: Call, target: str | None = None) -> None:
        """Connect, and open the three calls, or those that are named, in that order."""
        with self.changed:
            self.ended.clear()
            self._sent = None
            self.session = StockSession(
                self, target or self.target, self._options, channel_each=self._channel_each
            )
            self.tell(Connected())
        for call in calls or tuple(Call):
            self.session.open(call)

    def switch_off(self) -> None:
        """Cancel the calls and close the connection, in that order, with no farewell."""
        if self.session is not None:
            self.leave().close()

    def leave(self) -> StockSession:
        """Forget the connection without closing it: close what this returns."""
        with self.changed:
            session, self.session = self.online, None
            session.is_over = True
            self.tell(Disconnected())
        return session

    def press(self, *buttons: Button, action: Action = Action.PRESS) -> None:
        """Queue events: each is sent when those before it are answered, on line or later."""
        with self.changed:
            self._presses.extend(EventSent(button, action) for button in buttons)
            self.changed.notify_all()

    def pause_reading(self) -> None:
        """Take no more packets of the audio stream."""
        with self.changed:
            self.reads_audio = False

    def resume_reading(self) -> None:
        """Take packets again."""
        with self.changed:
            self.reads_audio = True
            self.changed.notify_all()

    # What tests look at

    @property
    def online(self) -> StockSession:
        """The connection of a device that is on."""
        assert self.session is not None, "it is off"
        return self.session

    @property
    def packets(self) -> list[Packet]:
        """What came on the newest audio stream."""
        return self.streams[-1] if self.streams else []

    @property
    def leds(self) -> tuple[int | None, ...] | None:
        """What it draws."""
        return self.frames[-1].leds if self.frames else None

    def told(self) -> tuple[int | None, ...] | None:
        """What it tells of its LEDs when it is asked; the lock is held."""
        self.asked.append(time.monotonic())
        self.changed.notify_all()
        return (0x123456FF,) * 6 if self.draws_wrongly else self.leds

    def wait(self, sign: Callable[[], T], *, within_s: float = 30.0) -> T:
        """Wait until `sign` is true, and return what it says."""
        with self.changed:
            found = self.changed.wait_for(sign, within_s)
            assert found, f"not within {within_s} s; {self}"
            return found

    def wait_open(self) -> None:
        """Wait until the server has every call that is on. Calls of connections that are opened
        one soon after the other reach it in any order, and to the server the last one is the
        newest."""
        self.wait(self.online.is_answered)

    def wait_answered(self, *, within_s: float = 30.0) -> None:
        """Wait until everything that was pressed has its answer."""
        self.wait(lambda: not self._presses and self._sent is None, within_s=within_s)

    def __repr__(self) -> str:
        return (
            f"{self.id}: leds={self.leds} acks={len(self.acks)} unsent={len(self._presses)} "
            f"unanswered={self._sent} packets={[len(stream) for stream in self.streams]} "
            f"ended={self.ended}"
        )

    # What its calls tell, from threads of their own

    def tell(self, event: Event) -> None:
        """Pass on what has just happened; the lock is held."""
        now = time.monotonic()
        match event:
            case LedsSet(leds):
                self.frames.append(Frame(now, leds))
            case EventSent():
                self._sent = (now, event)
            case EventAcked(ack) if self._sent is not None:
                self.acks.append(Ack(self._sent[0], now, self._sent[1], ack))
                self._sent = None
        for observer in self.observers:
            observer(now, event)
        self.changed.notify_all()

    def tell_ended(self, call: Call, status: grpc.StatusCode) -> None:
        """A call has ended; the lock is held."""
        self.ended[call] = status
        if call is Call.EVENTS:
            self._sent = None
        self.tell(CallLost(call, status.name))

    def tell_replaced(self, call: Call, status: grpc.StatusCode) -> None:
        """A call has ended that was opened again before; the lock is held."""
        self.replaced.append((call, status))
        self.changed.notify_all()

    def tell_packet(self, stream: list[Packet], packet: PacketReceived) -> None:
        """A packet has been read from a stream of `streams`; the lock is held."""
        now = time.monotonic()
        stream.append(Packet(now, packet.is_start, packet.is_end, packet.data))
        self.tell(packet)

    def tell_opened(self, call: Call) -> None:
        """A call is about to be opened."""
        with self.changed:
            if call is Call.AUDIO:
                self.streams.append([])
            if self.ended.pop(call, None):
                self.tell(CallReopened(call))

    def next_event(self, is_over: Callable[[], bool]) -> EventSent | None:
        """The next event to send, once the one before has its answer; None when it is over."""
        with self.changed:
            self.changed.wait_for(lambda: is_over() or (self._presses and self._sent is None))
            if is_over():
                return None
            event = self._presses.popleft()
            self.tell(event)
            return event
