"""All devices that are connected: which calls each has open, and where they end.

A device is made by the first request that attaches to it and ended when the last one lets go;
only its mode is kept. Finding, making, taking over and letting go never await, so requests cannot
overtake each other half-way: of two calls, the one that attaches later is the newer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

import structlog
import trio

from audio_server.device.attachment import (
    LENT,
    Attachment,
    AttachmentEnded,
    AudioAttachment,
    DeviceFailed,
    EventAttachment,
    LentAttachment,
    StatusAttachment,
    Superseded,
    TooManyDevices,
)
from audio_server.device.audio_sink import AudioSink
from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Behaviour, DefaultBehaviour, Rules
from audio_server.device.context import Context
from audio_server.device.device import Device
from audio_server.device.events import DeviceEvent, Listener
from audio_server.device.instrumentation import Instrumentation
from audio_server.device.led_readback import read_back_leds
from audio_server.device.leds import FULL_BRIGHTNESS
from audio_server.device.loan import Borrower, Lent, Loan, Request
from audio_server.device.mode_store import MemoryModeStore, ModeStore
from audio_server.device.pace import Pace
from audio_server.device.profile import Profile, ProfileOf
from audio_server.device.takeover import CallKind, TakeOver, take_over
from audio_server.device.timer_wheel import Timer, never_again

GONE_MAX = 10_000
"""For how many devices that are gone a reconnect can still be counted as one."""

CALLS_ENDED = "all of its calls ended"
"""The reason of the end of a device whose connection is still there."""

log = structlog.get_logger()


class Devices:
    """The devices of one server. `run` must be running when a request attaches.

    `clips[i]` is the clip of mode `i`, and `rules.clips` is their number, until `change_clips`, for
    all devices without a profile of their own (`use_profiles`). A
    device whose tasks fail is logged and ends alone: its links raise `DeviceFailed`.
    """

    def __init__(
        self,
        clips: Sequence[AudioSource],
        rules: Rules,
        lead_s: float,
        *,
        stall_s: float = 30.0,
        max_devices: int = 10_000,
        store: ModeStore | None = None,
        behaviour: Behaviour | None = None,
        meter: Instrumentation | None = None,
        brightness: int = FULL_BRIGHTNESS,
    ) -> None:
        if rules.clips != len(clips):
            raise ValueError(f"rules for {rules.clips} clips, but there are {len(clips)}")
        store = MemoryModeStore() if store is None else store
        self._context = Context(
            Profile(clips, rules, Pace(lead_s, stall_s), brightness),
            store,
            behaviour or DefaultBehaviour(),
            meter or Instrumentation(),
        )
        self._max_devices = max_devices
        self._devices: dict[str, Device] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._nursery: trio.Nursery | None = None
        self.settle: Callable[[str], None] = lambda _: None
        """Called with a device that has ended with its loan, and not with a call."""

    @property
    def by_id(self) -> Mapping[str, Device]:
        """The devices that are connected, to look at."""
        return MappingProxyType(self._devices)

    @property
    def clips(self) -> Sequence[AudioSource]:
        """The source of each mode of the fleet that has one."""
        return self._context.fleet.clips

    @property
    def profile(self) -> Profile:
        """The profile of the fleet: that of all devices without another."""
        return self._context.fleet

    @property
    def is_ending(self) -> bool:
        """Whether takes have been ended for good, for a shutdown."""
        return self._context.ending

    @property
    def meter(self) -> Instrumentation:
        """The counts of the devices."""
        return self._context.meter

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` for every event from now on. One that raises is logged and removed."""
        self._context.subscribe(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Call `listener` no longer; it may have been removed already."""
        self._context.unsubscribe(listener)

    def tell(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Report an event of which the cause is outside the device, such as a rename."""
        self._context.tell(device_id, kind, *details)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the tasks of all devices until cancelled. Requests must have ended before."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._context.timer_wheel.run)
            nursery.start_soon(self._context.led_wheel.run)
            nursery.start_soon(read_back_leds, self._devices)
            self._nursery = nursery
            task_status.started()

    def start_task(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run a task, which raises nothing, for as long as `run` runs."""
        if self._nursery is None:
            raise RuntimeError("Devices.run is not running")
        self._nursery.start_soon(run)

    def attach_status(
        self,
        device_id: str,
        connection: int,
        scope: trio.CancelScope | None = None,
        peer: object = None,
        request: Request | None = None,
    ) -> StatusAttachment:
        """Return the hold of a `StatusStream` request. Each connection has a number of its own.

        `scope` is one that the request runs in, `peer` its other end (see `Attachment`). Entering
        it raises `Lent` for a device that is.
        """
        return StatusAttachment(self, device_id, connection, scope, peer, request)

    def attach_events(
        self,
        device_id: str,
        connection: int,
        scope: trio.CancelScope | None = None,
        peer: object = None,
        request: Request | None = None,
    ) -> EventAttachment:
        """The hold of an `EventStream` request."""
        return EventAttachment(self, device_id, connection, scope, peer, request)

    def attach_audio(
        self,
        device_id: str,
        connection: int,
        sink: AudioSink,
        scope: trio.CancelScope | None = None,
        peer: object = None,
        request: Request | None = None,
    ) -> AudioAttachment:
        """The hold of a `ServerAudioStream` request."""
        return AudioAttachment(self, device_id, connection, sink, scope, peer, request)

    def attach_lent(
        self,
        kind: CallKind,
        device_id: str,
        connection: int,
        scope: trio.CancelScope | None = None,
        peer: object = None,
    ) -> LentAttachment:
        """The hold of a request of a device that is lent."""
        return LENT[kind](self, device_id, connection, scope, peer)

    @contextmanager
    def lending(self, device_id: str, borrower: Borrower) -> Iterator[Loan]:
        """Lend a device for the block, with the calls that it has and those that come.

        Before the end of the block the caller has the loan over, and `Borrower.use` return for
        each call. The device stays connected meanwhile, also without a call. Raises `KeyError` for
        one that is not connected.
        """
        device = self._devices[device_id]
        device.loan = loan = Loan(borrower)
        for attachment in list(device.attachments.values()):
            attachment.interrupt(Lent(loan))
        try:
            yield loan
        finally:
            loan.is_over, device.loan = True, None
            if self._devices.get(device_id) is device and not device.attachments:
                self._forget(device)
                self._end(device, CALLS_ENDED)
                self.settle(device_id)

    async def end_takes(self) -> None:
        """Cut every take, for a shutdown; no take starts after this, but modes still change.

        Returns when every take has got its `is_end`. A device that does not read keeps this from
        returning, but does not keep others from their ends: give it a deadline.
        """
        self._context.ending = True
        devices = list(self._devices.values())
        for device in devices:
            device.end_take()
            if device.loan is not None:
                device.loan.borrower.stop()
        await trio.lowlevel.checkpoint()
        for device in devices:
            await device.wait_closed()

    def change_clips(self, clips: Sequence[AudioSource]) -> None:
        """Replace the clips of the fleet: a take goes on, and the next Play has the new clip.

        A device in a mode that no longer exists is home. Does not wait for modes to be stored.
        """
        fleet = self._context.fleet
        rules = replace(fleet.rules, clips=len(clips))
        self._context.fleet = replace(fleet, clips=clips, rules=rules)
        self.change_profiles()

    def use_profiles(self, profile_of: ProfileOf) -> None:
        """Ask `profile_of` for the profile of each device that connects from now on."""
        self._context.profile_of = profile_of

    def change_profiles(self, device_ids: Iterable[str] | None = None) -> None:
        """Have devices, or all, take the profiles that they have by now; takes go on."""
        for device_id in list(self._devices if device_ids is None else device_ids):
            device = self._devices.get(device_id)
            if device is None or (profile := self._context.profile(device_id)) is device.profile:
                continue
            try:
                device.use(profile)
            except Exception:
                self._fail(device)

    def peers_playing(self) -> set[object]:
        """Return the peers of all calls of the devices that play (`Device.is_playing`), or are
        lent."""
        return {
            attachment.peer
            for device in self._devices.values()
            if device.is_playing or device.loan is not None
            for attachment in device.attachments.values()
        }

    def call_at(self, when: float, do: Callable[[], None]) -> Timer:
        """Call `do` at the first tick of the LED wheel at or after `when`."""
        return self._context.led_wheel.start(when, never_again, do)

    async def wait_durable(self, device_id: str) -> None:
        """Return when the device's mode is where it outlives the device."""
        await self._context.store.wait_durable(device_id)

    def note_firmware(self, device: Device, firmware: str) -> None:
        """A call of a device names its firmware."""
        device.firmware = firmware
        self._context.tell_changed(device.id)

    def is_attached(self, device_id: str, connection: int) -> bool:
        """Whether a device has a call open on a connection."""
        device = self._devices.get(device_id)
        attachments = () if device is None else device.attachments.values()
        return any(attachment.connection == connection for attachment in attachments)

    def release(self, device_id: str) -> None:
        """The device is at another worker: end its calls here."""
        device = self._devices.get(device_id)
        if device is not None:
            self._forget(device)
            self._end_all(device, Superseded, Superseded.ELSEWHERE)
            self._end(device, Superseded.ELSEWHERE)
            self.meter.device_taken_over()
        self._gone.pop(device_id, None)  # it is counted where it comes back

    def recall(self, device_id: str, mode: int) -> None:
        """Show the mode that a device had elsewhere; its take goes on."""
        device = self._devices.get(device_id)
        if device is not None:
            device.recall(mode)

    def enter(self, attachment: Attachment) -> Device:
        """Find or make the device of a link that begins, and end the links that it replaces.

        Raises `TooManyDevices`, and `Lent` unless it is for the borrower.
        """
        device = self._devices.get(attachment.device_id) or self._make(attachment)
        if device.loan is not None and not _fits(attachment, device.loan):
            raise Lent(device.loan)
        open_calls = {kind: other.connection for kind, other in device.attachments.items()}
        ended = take_over(open_calls, attachment.kind, attachment.connection, device.waiting_on)
        self._apply(ended, device, attachment)
        device.attachments[attachment.kind] = attachment
        self._context.tell_changed(device.id)
        return device

    def _apply(self, ended: TakeOver, device: Device, attachment: Attachment) -> None:
        """Make a take-over true; `attachment` is the newer one."""
        device.adopt(attachment.connection, attachment.peer)
        why = Superseded.REOPENED if ended.left is None else Superseded.MOVED
        for kind in ended.ended:
            old = device.attachments.pop(kind)
            old.finish(device)
            old.end(Superseded, why)
        if ended.ended:
            device.lose(ended)
        if ended.left is not None:
            self._context.tell(device.id, DeviceEvent.CONNECTED, str(attachment.peer), True)
            self.meter.device_back()
            self.meter.device_taken_over()

    def leave(self, attachment: Attachment, device: Device) -> None:
        """A link's block ends. With the last one the device ends."""
        if device.attachments.get(attachment.kind) is attachment:
            del device.attachments[attachment.kind]
            attachment.finish(device)
            self._context.tell_changed(device.id)
            if not device.attachments and device.loan is None:
                self._forget(device)
                self._end(device, getattr(attachment.peer, "end_reason", "") or CALLS_ENDED)

    def _make(self, attachment: Attachment) -> Device:
        if self._nursery is None:
            raise RuntimeError("Devices.run is not running")
        if len(self._devices) >= self._max_devices:
            raise TooManyDevices
        last = self._gone.pop(attachment.device_id, attachment.connection)
        device = Device(attachment.device_id, attachment.connection, self._context, attachment.peer)
        self._devices[attachment.device_id] = device
        self.meter.device_came()
        self._context.tell(device.id, DeviceEvent.CONNECTED, str(attachment.peer), False)
        if last != attachment.connection:
            self.meter.device_back()
        self._nursery.start_soon(self._keep, device, name="device")
        return device

    async def _keep(self, device: Device) -> None:
        """Run a device. This is the edge where its faults end."""
        try:
            await device.run()
        except* Exception:
            self._fail(device)

    def _fail(self, device: Device) -> None:
        """Log the error that is handled, and end its device alone."""
        log.exception("device failed", device=device.id)
        if self._devices.get(device.id) is device:
            self._forget(device)
            self._end_all(device, DeviceFailed, "the device failed")
            self._end(device, "a fault of the server")

    def _forget(self, device: Device) -> None:
        del self._devices[device.id]
        self.meter.device_gone()
        self._gone[device.id] = device.connection
        if len(self._gone) > GONE_MAX:
            self._gone.popitem(last=False)

    def _end(self, device: Device, reason: str) -> None:
        if device.loan is not None:
            device.loan.borrower.lost(reason)
        device.end()
        self._context.tell(device.id, DeviceEvent.GONE, device, reason)

    def _end_all(self, device: Device, kind: type[AttachmentEnded], why: str) -> None:
        attachments = list(device.attachments.values())
        device.attachments.clear()
        for attachment in attachments:
            attachment.end(kind, why)


def _fits(attachment: Attachment, loan: Loan) -> bool:
    return loan.is_over or isinstance(attachment, LentAttachment)
