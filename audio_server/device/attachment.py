"""How the requests of a connection hold on to their device.

A link is a context manager of the request's own task. It has a cancel scope, so that the device
can end the request when it is overtaken, without a task or a channel between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task

from audio_server.device.audio_sink import AudioSink
from audio_server.device.behaviour import Action, Button
from audio_server.device.device import Device
from audio_server.device.led_state import LedState
from audio_server.device.loan import Lent, Request
from audio_server.device.press_queue import Press
from audio_server.device.takeover import CallKind
from audio_server.device.telemetry import Telemetry
from audio_server.device.timer_wheel import Timer

if TYPE_CHECKING:
    from audio_server.device.registry import Devices


class AttachmentEnded(Exception):
    """A request lost its device; raised where the link's `with` block ends."""


class Superseded(AttachmentEnded):
    """A newer call of the device has ended this one; the text says which, and may be shown."""

    REOPENED = "the device opened this call again"
    MOVED = "the device came back on another connection"
    ELSEWHERE = "the device came back to another process of the server"


class DeviceFailed(AttachmentEnded):
    """The device's own tasks failed: our fault, logged there. It may be attached anew."""


class TooManyDevices(AttachmentEnded):
    """There are as many devices as the server takes, and this would be one more."""


class Attachment:
    """One request's hold on a device, for as long as its `with` block. Entered once.

    Entering ends older links of the device (`takeover`) and raises `TooManyDevices` if the device
    is one more than the server takes. When the link is ended from the device's side, the block is
    cancelled and raises `AttachmentEnded`, unless the request was cancelled too or fails by itself.

    With `scope`, a cancel scope that the block runs in and that has no other use after the end of
    the link, the link makes none of its own, and is half a kilobyte lighter. `peer` is the other
    end of the connection; its text is shown on pages. A device whose calls have a `request` can be
    lent (`loan`): the block then raises `Lent`.
    """

    __slots__ = (
        "_device",
        "_devices",
        "_ended",
        "_own",
        "_request",
        "_scope",
        "connection",
        "device_id",
        "peer",
    )

    kind: ClassVar[CallKind]
    _device: Device

    def __init__(
        self,
        devices: Devices,
        device_id: str,
        connection: int,
        scope: trio.CancelScope | None = None,
        peer: object = None,
        request: Request | None = None,
    ) -> None:
        self.device_id = device_id
        self.peer = peer
        self.connection = connection
        self._devices = devices
        self._own = scope is None
        self._request = request
        self._scope = scope or trio.CancelScope()
        self._ended: tuple[type[AttachmentEnded], str] | None = None

    def __enter__(self) -> Self:
        self._device = self._devices.enter(self)
        if self._own:
            self._scope.__enter__()
        self.begin(self._device)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._devices.leave(self, self._device)
        caught = self._own and self._scope.__exit__(kind, error, traceback)
        cancelled = caught or (not self._own and isinstance(error, trio.Cancelled | Lent))
        if self._ended is not None and (error is None or cancelled):
            kind_of_end, why = self._ended
            raise kind_of_end(why)
        return caught

    @property
    def has_ended(self) -> bool:
        """Whether the device has ended it: nothing that comes of it counts."""
        return self._ended is not None

    def note_breach(self, breach: str) -> None:
        """Count an act of the device against its contract; `breach` is one line about it."""
        if not self.has_ended:
            self._device.learn(self._device.report.erred(breach))

    def note_firmware(self, firmware: str | None) -> None:
        """Take note of the firmware that a call of the device names; None leaves it as it was."""
        if firmware is not None:
            self._devices.note_firmware(self._device, firmware)

    def end(self, kind: type[AttachmentEnded], why: str) -> None:
        """Cancel the block; it raises `kind`."""
        # Not an exception made here: the block's `Cancelled` keeps the frames that led to the
        # cancel, and would be the context of one that they hold.
        self._ended = kind, why
        self._scope.cancel()

    def interrupt(self, error: Exception) -> None:
        """Have the block raise `error` where it waits for the device."""
        if self._request is not None:
            self._request.interrupt(error)

    def begin(self, device: Device) -> None:
        """Inform the device that the link is there."""

    def finish(self, device: Device) -> None:
        """Inform the device that the link is gone, or replaced."""


class StatusAttachment(Attachment):
    """Shows LED frames, and reports the answers of the device."""

    __slots__ = ()
    kind = CallKind.STATUS

    def begin(self, device: Device) -> None:
        """Run the start-up sequence for the first on a connection."""
        device.display.greet(self.connection)

    @property
    def status(self) -> LedState:
        """As it is now."""
        return self._device.display.status

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed`, until the link ends, whenever the status changes. It is called in the
        midst of the change: it must not block, and raise nothing."""
        self._device.display.watcher = changed

    def call_at(self, when: float, do: Callable[[], None]) -> Timer:
        """Call `do` at the first tick at or after `when`, unless the timer is cancelled before. It
        must not block, and raise nothing."""
        return self._devices.call_at(when, do)

    def finish(self, device: Device) -> None:
        """Stop the calls of `changed`."""
        device.display.watcher = None

    @property
    def known(self) -> Telemetry:
        """The last report."""
        return self._device.report

    def report(self, report: Telemetry) -> None:
        """Keep the answer of a device; an answer on a stream that has ended is dropped."""
        if not self.has_ended:
            self._device.learn(report)


class EventAttachment(Attachment):
    """Passes presses of buttons."""

    __slots__ = ()
    kind = CallKind.EVENTS

    async def press(self, button: Button, action: Action) -> None:
        """Return when it has been applied and kept, or the device has ended takes for good.

        Cancelled, it may or may not come to be applied.
        """
        await self.queue(button, action).wait()
        await self._devices.wait_durable(self.device_id)

    def queue(self, button: Button, action: Action) -> trio.Event:
        """Have a press applied after those before it. Returns an event that is set when it has
        been applied, and never if the device ends the link first."""
        press = Press(button, action, trio.Event(), self)
        if not self.has_ended:
            self._device.press(press)
        return press.applied

    def press_nowait(self, button: Button, action: Action) -> bool:
        """Whether it has been applied and kept; False, and nothing is done, if it has to wait."""
        device, connection = self._device, self.connection
        return not self.has_ended and device.press_nowait(button, action, connection)


class AudioAttachment(Attachment):
    """Lends the device a sink. Takes on it end with the link, and nothing resumes later."""

    __slots__ = ("_error", "_sink", "_task")
    kind = CallKind.AUDIO

    def __init__(
        self,
        devices: Devices,
        device_id: str,
        connection: int,
        sink: AudioSink,
        scope: trio.CancelScope | None = None,
        peer: object = None,
        request: Request | None = None,
    ) -> None:
        super().__init__(devices, device_id, connection, scope, peer, request)
        self._sink = sink
        self._error: Exception | None = None
        self._task: Task | None = None

    def begin(self, device: Device) -> None:
        """Send sound to the sink from now on."""
        device.plug(self._sink)

    def finish(self, device: Device) -> None:
        """Send no more sound to the sink."""
        device.unplug()

    async def wait_ended(self) -> NoReturn:
        """Wait for ever: the link ends by a cancel, from either side, or by `interrupt`."""
        self._task = trio.lowlevel.current_task()
        try:
            await trio.lowlevel.wait_task_rescheduled(_abort)
        finally:
            self._task = None
        error, self._error = self._error, None
        assert error is not None
        try:
            raise error
        finally:
            del error  # its traceback leads to this frame

    def interrupt(self, error: Exception) -> None:
        """As `Attachment`: a handler that waits for the end reads no message."""
        if self._task is None:
            super().interrupt(error)
        elif self._error is None:
            self._error = error
            trio.lowlevel.reschedule(self._task)


class LentAttachment(Attachment):
    """Holds a device that is lent, for a call that its borrower handles."""

    __slots__ = ()


class _LentStatus(LentAttachment):
    __slots__ = ()
    kind = CallKind.STATUS


class _LentEvents(LentAttachment):
    __slots__ = ()
    kind = CallKind.EVENTS


class _LentAudio(LentAttachment):
    __slots__ = ()
    kind = CallKind.AUDIO


LENT: Mapping[CallKind, type[LentAttachment]] = {
    one.kind: one for one in (_LentStatus, _LentEvents, _LentAudio)
}


def _abort(_: RaiseCancelT) -> Abort:
    return Abort.SUCCEEDED
