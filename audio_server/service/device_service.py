"""The three calls of a device, between the wire and the device's own tasks.

Each handler attaches to its device for as long as the call lasts, turns messages into presses
and LED frames and sound into messages, and knows no rule of the device.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.device.attachment import (
    DeviceFailed,
    Superseded,
    TooManyDevices,
)
from audio_server.device.loan import Lent, Loan
from audio_server.device.registry import Devices
from audio_server.device.takeover import CallKind
from audio_server.identity.authenticator import Authenticator, NoAuth
from audio_server.rpc.call import ServerCall
from audio_server.rpc.rate_limit import Rate
from audio_server.service.event_stream import EventHandler
from audio_server.service.press_limiter import PRESSES, PressLimiter
from audio_server.service.status_stream import StatusHandler
from audio_server.wire.comms_grpc import DeviceServiceBase
from audio_server.wire.device_ids import DeviceIdError, device_id_in
from audio_server.wire.firmware import firmware_in

log = structlog.get_logger()

Handled = Coroutine[Any, Any, None]
"""A coroutine that is returned as it is: one that only awaits it would be more memory a call."""


class DeviceService(DeviceServiceBase):
    """`DeviceService` of `comms.proto`, for the server half of `audio_server.rpc`."""

    def __init__(
        self, devices: Devices, identity: Authenticator | None = None, presses: Rate = PRESSES
    ) -> None:
        self._devices = devices
        self._identity = identity or NoAuth()
        self._pace = PressLimiter(presses)
        devices.settle = self.settle

    async def claim(self, call: ServerCall, device_id: str) -> None:
        """Return when a call may attach to its device; here at once.

        The caller attaches without another checkpoint, so that the answer still holds then.
        """

    def settle(self, device_id: str) -> None:
        """Take note that a call which was to be claimed has ended."""

    def StatusStream(self, call: Any) -> Handled:  # noqa: N802
        """Show the newest LED frame, and read the LEDs back now and then."""
        return self._attend(call, CallKind.STATUS, self._show_frames)

    def EventStream(self, call: Any) -> Handled:  # noqa: N802
        """Acknowledge every event, in order, once the device has applied it."""
        return self._attend(call, CallKind.EVENTS, self._take_events)

    def ServerAudioStream(self, call: Any) -> Handled:  # noqa: N802
        """Lend the stream to the device's audio task until the call ends."""
        return self._attend(call, CallKind.AUDIO, self._lend_stream)

    async def _attend(
        self,
        call: ServerCall,
        kind: CallKind,
        handle: Callable[[ServerCall, str, bool], Awaitable[None]],
    ) -> None:
        """Read and prove the id of the call before any device is touched; then handle the call."""
        device_id = device_id_of(call)
        try:
            with self._identity.admit(call, device_id):
                call.identified()
                again = False
                try:
                    while True:
                        try:
                            await handle(call, device_id, again)
                            return
                        except Lent as lent:
                            loan, owed = lent.loan, lent.owed
                        await self._lend(call, device_id, kind, loan, owed)
                        del loan
                        again = True
                finally:
                    self.settle(device_id)
        except Superseded as why:
            ended = {"device": device_id, "call": kind.value, "reason": str(why)}
            log.info("call ended", peer=str(call.peer), **ended)
            raise GRPCError(Status.ABORTED, str(why)) from None
        except TooManyDevices:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "the server has no room left") from None
        except DeviceFailed:
            raise GRPCError(Status.INTERNAL, "the device failed in the server") from None

    async def _lend(
        self, call: ServerCall, device_id: str, kind: CallKind, loan: Loan, owed: int
    ) -> None:
        """Have the borrower of a device handle a call, until that is given back."""
        if not loan.is_over:
            number = call.connection_number
            with self._devices.attach_lent(kind, device_id, number, call.scope, call.peer):
                await loan.borrower.use(call, kind, owed)

    # A call that was lent is attached `again` in the same step, so that the device stays here.

    async def _show_frames(self, call: ServerCall, device_id: str, again: bool) -> None:
        if not again:
            await self.claim(call, device_id)
        number = call.connection_number
        with self._devices.attach_status(device_id, number, call.scope, call.peer, call) as link:
            link.note_firmware(firmware_in(call.metadata))
            await StatusHandler(call, link, self._devices.meter).run()

    async def _take_events(self, call: ServerCall, device_id: str, again: bool) -> None:
        if not again:
            await self.claim(call, device_id)
        number = call.connection_number
        with self._devices.attach_events(device_id, number, call.scope, call.peer, call) as link:
            await EventHandler(call, link, self._pace, self._devices.meter).run()

    async def _lend_stream(self, call: ServerCall, device_id: str, again: bool) -> None:
        writer = await call.open_writer()
        if not again:
            await self.claim(call, device_id)
        # Attached before the request is waited for: of two calls the newer one shall win.
        number = call.connection_number
        with self._devices.attach_audio(
            device_id, number, writer, call.scope, call.peer, call
        ) as link:
            if not again and await call.recv_message() is None:
                raise GRPCError(Status.INTERNAL, "the request has no message")
            await link.wait_ended()


def device_id_of(call: ServerCall) -> str:
    """Return the device id in the metadata of a call.

    Raises `GRPCError` INVALID_ARGUMENT, the device's fault.
    """
    try:
        return device_id_in(call.metadata)
    except DeviceIdError as error:
        call.log_peer_error(str(error))
        raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from None
