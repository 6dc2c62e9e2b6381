"""A stock device, as the device contract describes it, with its buttons in your hand.

    async with trio.open_nursery() as nursery:
        device = VirtualDevice("kitchen", lambda: open_channel("127.0.0.1", 50051))
        device.observers.append(print)
        nursery.start_soon(device.run)
        device.switch_on()
        device.press(Button.PLAY)

Its observers get every event; its LEDs and the state of its connection are values to wait on.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import trio
from trio_util import AsyncValue

from audio_server.simulator import events
from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.messages import BLACK, WHITE, drawn
from audio_server.simulator.session import Session
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.leds import LEDS

if TYPE_CHECKING:
    from audio_server.rpc.client import Channel

OpenChannel: TypeAlias = Callable[[], "AbstractAsyncContextManager[Channel]"]
"""Opens one connection; raises `OSError` without a server. Leaving it closes the connection."""

RETRY_S = 0.25
RETRY_MAX_S = 5.0


class Link(Enum):
    """How far a device is with its connection."""

    OFF = "off"
    CONNECTING = "connecting"
    ONLINE = "connected"
    WAITING = "waiting to try again"


class VirtualDevice:
    """One device. `run` is its life; everything else may be called from any trio task.

    `reconnects`: it looks for the server again when the connection is lost, ever more slowly;
    otherwise it is off then. `session` is the behaviour of its calls. `link` and `reading` are
    values to wait on; set `reading` through `pause_reading` and `resume_reading`. Observers are
    called in order, and at once.
    """

    def __init__(
        self,
        device_id: str,
        open_channel: OpenChannel,
        *,
        reconnects: bool = True,
        whole_takes: bool = False,
        token: str | None = None,
        session: type[Session] = Session,
    ) -> None:
        self.device_id = device_id
        self._session = session
        self.observers: list[events.Observer] = []
        self.link = AsyncValue(Link.OFF)
        self.reading = AsyncValue(True)
        self.colours: tuple[int, ...] = (WHITE, *(BLACK,) * (LEDS - 1))
        self._open_channel = open_channel
        self._reconnects = reconnects
        self._whole_takes = whole_takes
        self._token = token
        self._power = AsyncValue(False)
        self._scope: trio.CancelScope | None = None
        self._queue_in, self._queue_out = trio.open_memory_channel[events.EventSent](math.inf)

    # Its buttons

    @property
    def is_on(self) -> bool:
        """Whether it has been switched on, however far it got."""
        return self._power.value

    def switch_on(self) -> None:
        """Begin to connect; wait on `link` for the outcome."""
        if not self._power.value:
            self._power.value = True
            self.link.value = Link.CONNECTING

    def switch_off(self) -> None:
        """Begin to cancel the three calls and close the connection, in that order."""
        self._power.value = False
        if self._scope is not None:
            self._scope.cancel()
        else:
            self.link.value = Link.OFF

    async def wait_off(self) -> None:
        """Return when it is off and the connection closed."""
        await self.link.wait_value(Link.OFF)

    def press(self, button: Button, action: Action = Action.PRESS) -> None:
        """Queue an event: it is sent when those before it have their acks, on line or later."""
        self._queue_in.send_nowait(events.EventSent(button, action))

    @property
    def queued(self) -> int:
        """How many events wait to be sent."""
        return self._queue_in.statistics().current_buffer_used

    def pause_reading(self) -> None:
        """Stop reading audio (a packet that is on its way may still come)."""
        if self.reading.value:
            self.reading.value = False
            self.emit(events.ReadingPaused())

    def resume_reading(self) -> None:
        """Read audio again."""
        if not self.reading.value:
            self.emit(events.ReadingResumed())
            self.reading.value = True

    # Its life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled. A cancel closes the connection as switching off does."""
        task_status.started()
        pause_s = RETRY_S
        try:
            while True:
                while not self._power.value:
                    await self._power.wait_value(True)
                reason, was_online = await self._live_in_order()
                pause_s = RETRY_S if was_online else min(2 * pause_s, RETRY_MAX_S)
                await self._settle(reason, pause_s)
        finally:
            self.link.value = Link.OFF

    async def _settle(self, reason: str, pause_s: float) -> None:
        """After a connection: off if so wanted, else wait a while before the next."""
        if reason and not self._reconnects:
            self._power.value = False
        if reason and self._power.value:
            self.link.value = Link.WAITING
            with trio.move_on_after(pause_s):
                await self._power.wait_value(False)
        self.link.value = Link.CONNECTING if self._power.value else Link.OFF

    async def _live_in_order(self) -> tuple[str, bool]:
        """`_live`, but a cancel from outside does not reach the calls and the connection at once:
        it ends the calls first, as switching off does."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hang_up_when_cancelled)
            with trio.CancelScope(shield=True):
                result = await self._live()
            nursery.cancel_scope.cancel()
        return result

    async def _hang_up_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            if self._scope is not None:
                self._scope.cancel()

    async def _live(self) -> tuple[str, bool]:
        """One connection, from first to last: why it ended ("": switched off), and was it any."""
        self.link.value = Link.CONNECTING
        self.emit(events.Connecting())
        with trio.CancelScope() as scope:
            self._scope = scope
            try:
                async with self._open_channel() as channel:
                    # Switched off just as it had opened. A cancel that leaves the block from inside
                    # would leave a cycle from Python 3.12 on (`process.socket_errors`).
                    if scope.cancel_called:
                        return "", False
                    reason = await self._talk(channel)
            except OSError as error:
                reason = _why(error)
                self.emit(events.ConnectFailed(reason))
                return reason, False
            finally:
                self._scope = None
            self.emit(events.Disconnected(reason))
            return reason, True
        return "", False

    async def _talk(self, channel: Channel) -> str:
        """The calls in a scope of their own, so that they are cancelled before the channel."""
        # Stubs are annotated for grpclib's own channel; ours has the method that they call.
        session = self._session(
            self,
            DeviceServiceStub(cast(Any, channel)),
            self.device_id,
            token=self._token,
            reopens=self._reconnects,
            whole_takes=self._whole_takes,
        )
        with trio.CancelScope() as self._scope:
            return await session.run()
        return ""

    async def next_event(self) -> events.EventSent:
        """The oldest event that waits to be sent."""
        return await self._queue_out.receive()

    def emit(self, event: events.Event) -> None:
        """Pass an event to the observers."""
        if isinstance(event, events.LedsSet):
            self.colours = drawn(event.leds)
        elif isinstance(event, events.Connected):
            self.link.value = Link.ONLINE
        for observer in self.observers:
            observer(trio.current_time(), event)


def _why(error: OSError) -> str:
    """Return the system's reason, in the place of the number of addresses that were tried."""
    tried = error.__cause__
    first = tried.exceptions[0] if isinstance(tried, BaseExceptionGroup) else error
    if not isinstance(first, OSError) or first.errno is None:
        return str(first)
    if first.errno == errno.ECONNREFUSED:
        return f"{os.strerror(first.errno)}: no server listens there"
    return os.strerror(first.errno) if first.errno > 0 else str(first.strerror)
