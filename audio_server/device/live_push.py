"""Sends the packets of a live channel to the devices that listen, many packets in a write.

The channel's own packets are the clock: of the listeners of one period each packet is the last of a
batch for one part, which is sent to all of that part. It costs less than a timer for each device,
the bytes of a batch are made once, and none waits for longer than the batch takes to come
(docs/performance.md, "A live channel").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import trio

from audio_server.device.instrumentation import Instrumentation
from audio_server.device.timer_wheel import CHUNK, FULL, LATE_CHUNK, TICK_S, TimerWheel


class Batch(NamedTuple):
    """Packets that follow each other: the number of the first, and all, framed and joined."""

    first: int
    packets: int
    frames: bytes


_GONE = Batch(-1, 0, b"")
"""Stands for packets that are not kept: no listener goes on with them."""

Push: TypeAlias = Callable[[Batch, float], bool]
"""Sends a batch, or other packets that a device needs, and returns whether it goes on. Must not
block. It gets the time, which was read for its chunk."""


class Ring(Protocol):
    """The packets of a channel."""

    def slice(self, start: int, stop: int) -> bytes:
        """Return these packets; none where they are no longer kept."""


class Listener:
    """A push that is done again and again."""

    __slots__ = ("ended", "error", "part", "push")

    def __init__(self, push: Push, ended: Callable[[], None], part: _Part) -> None:
        self.push = push
        self.ended: Callable[[], None] | None = ended
        self.error: Exception | None = None
        self.part = part

    def cancel(self) -> None:
        """End the pushes, without a call of `ended`. They may have ended already."""
        self.ended = None
        self.part.pop(self, None)


_Part: TypeAlias = dict[Listener, None]


class _Due(NamedTuple):
    """Listeners whose batch is there. They are taken from the end of the list."""

    listeners: list[Listener]
    first: int
    packets: int
    since: float


class Pusher:
    """The listeners of one channel."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._parts: dict[int, list[_Part]] = {}
        self._edge = 0
        self._due: deque[_Due] = deque()
        self._batch = Batch(0, 0, b"")
        self._timer_wheel: TimerWheel | None = None
        self._meter = Instrumentation()

    @property
    def has_listeners(self) -> bool:
        """Whether there are any."""
        return any(part for parts in self._parts.values() for part in parts)

    def start(
        self,
        period: int,
        push: Push,
        ended: Callable[[], None],
        timer_wheel: TimerWheel,
        meter: Instrumentation,
    ) -> Listener:
        """Call `push` for every `period` packets, until it returns False or fails; then `ended` is
        called. The caller cancels it, unless it has ended.

        The first `CHUNK` are pushed to when the packet comes, others in turns of the timer wheel.
        """
        self._timer_wheel, self._meter = timer_wheel, meter
        parts = self._parts.setdefault(period, [{} for _ in range(period)])
        part = self._best(parts)
        listener = Listener(push, ended, part)
        part[listener] = None
        return listener

    def _best(self, parts: list[_Part]) -> _Part:
        """Return a part that is shared, up to `FULL`, so that few listeners need few wakes; else
        the emptiest one, and of equals that whose batch comes last."""
        period = len(parts)
        ahead = (parts[(self._edge + more) % period] for more in range(1, period + 1))
        loads = ((len(part) if len(part) < FULL else -len(part), part) for part in ahead)
        best, chosen = -(1 << 62), parts[0]
        for load, part in loads:
            if load >= best:
                best, chosen = load, part
        return chosen

    def moved(self, edge: int) -> None:
        """A packet has come: `edge` is the number of the next one."""
        self._edge = edge
        for period, parts in tuple(self._parts.items()):
            if part := parts[edge % period]:
                self._add(list(part), edge - period, period)

    def end(self) -> None:
        """Call all pushes: the channel is over."""
        for parts in self._parts.values():
            for part in parts:
                self._add(list(part), self._edge, 0)

    def _add(self, listeners: list[Listener], first: int, count: int) -> None:
        is_first = not self._due
        self._due.append(_Due(listeners, first, count, trio.current_time()))
        if is_first and self._serve() and self._timer_wheel is not None:
            self._timer_wheel.soon(self._serve)

    def _serve(self) -> bool:
        """Push to the next few; return whether others are left."""
        now = trio.current_time()
        due = self._due[0]
        late_s = now - due.since
        chunk = due.listeners[-(CHUNK if late_s < TICK_S else LATE_CHUNK) :]
        del due.listeners[-len(chunk) :]
        self._meter.served(len(chunk), late_s)
        batch = self._batch_of(due)
        self._push(chunk, batch, now)
        if not due.listeners:
            self._due.popleft()
        return bool(self._due)

    def _batch_of(self, due: _Due) -> Batch:
        if (self._batch.first, self._batch.packets) != due[1:3]:
            frames = self._ring.slice(due.first, due.first + due.packets)
            is_kept = bool(frames) or not due.packets  # else another programme has begun
            self._batch = Batch(due.first, due.packets, frames) if is_kept else _GONE
        return self._batch

    @staticmethod
    def _push(listeners: list[Listener], batch: Batch, now: float) -> None:
        """Push to some. This is the edge where the faults of each go to its owner."""
        for listener in listeners:
            if listener.ended is None:  # another push has ended it
                continue
            goes_on = False
            try:
                goes_on = listener.push(batch, now)
            except Exception as error:
                listener.error = error
            if not goes_on and listener.ended is not None:
                listener.part.pop(listener, None)
                listener.ended()
