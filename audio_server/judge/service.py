"""The gRPC service of the judge: each call of a device that is judged goes to its seat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.device.takeover import CallKind
from audio_server.identity.authenticator import Authenticator, NoAuth
from audio_server.judge.duties import Duty
from audio_server.judge.seat import Seat
from audio_server.rpc.call import ServerCall
from audio_server.wire.comms_grpc import DeviceServiceBase
from audio_server.wire.device_ids import DeviceIdError, device_id_in

Come = Callable[[Seat], None]
"""Called once for each device that comes to be judged."""


class JudgeService(DeviceServiceBase):
    """Takes the calls of the devices named, or without a name of the first that comes."""

    def __init__(
        self, device_ids: Sequence[str], come: Come, identity: Authenticator | None = None
    ) -> None:
        self._identity = identity or NoAuth()
        self._wanted = device_ids
        self._come = come
        self._seats: dict[str, Seat] = {}

    async def StatusStream(self, stream: Any) -> None:  # noqa: N802
        """Take the answers of the device; the trial asks."""
        await self._take(stream, CallKind.STATUS)

    async def EventStream(self, stream: Any) -> None:  # noqa: N802
        """Take the events of the device, and acknowledge them one after the other."""
        await self._take(stream, CallKind.EVENTS)

    async def ServerAudioStream(self, stream: Any) -> None:  # noqa: N802
        """Take the request of the device; the trial sends sound."""
        await self._take(stream, CallKind.AUDIO)

    async def _take(self, call: ServerCall, kind: CallKind) -> None:
        device_id = self._id_of(call)
        with self._identity.admit(call, device_id):
            seat = self._seat_of(device_id)
            call.identified()
            await call.send_initial_metadata()
            await seat.use(call, kind)

    def _id_of(self, call: ServerCall) -> str:
        try:
            return device_id_in(call.metadata)
        except DeviceIdError as error:
            self._blame_one(str(error))
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from None

    def _seat_of(self, device_id: str) -> Seat:
        if (seat := self._seats.get(device_id)) is not None:
            return seat
        if device_id not in self._wanted and (self._wanted or self._seats):
            self._blame_one(f"a call came with the device_id {device_id}")
            raise GRPCError(Status.UNAVAILABLE, "the judge waits for another device")
        seat = self._seats[device_id] = Seat(device_id)
        self._come(seat)
        return seat

    def _blame_one(self, breach: str) -> None:
        """A call without a good id, or with another one, is the fault of the only device there."""
        if not self._wanted:
            for seat in self._seats.values():
                seat.findings.broken(Duty.ID, breach)
