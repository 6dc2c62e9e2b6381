"""One connection of a device: its three calls, each behaving as the stock device does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.simulator import events
from audio_server.simulator.messages import device_event, leds_set, state_answer
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import AudioStreamRequest, DeviceStatusResponse

if TYPE_CHECKING:
    from audio_server.simulator.device import VirtualDevice

Stream: TypeAlias = Any
"""A call as grpclib's stubs open it; their message types are not worth a generic here."""

REOPEN_S = 1.0
REOPEN_MAX_S = 10.0


class Session:
    """The calls of one connection, from opening them to losing or leaving them.

    `reopens`: a call that fails alone is opened again after a while; otherwise it stays lost.
    `whole_takes`: behave as the reference client does, which plays a take only once it is whole
    and reads nothing meanwhile.
    """

    def __init__(
        self,
        owner: VirtualDevice,
        stub: DeviceServiceStub,
        device_id: str,
        *,
        token: str | None = None,
        reopens: bool,
        whole_takes: bool,
    ) -> None:
        self._owner = owner
        self._metadata = {"device_id": device_id}
        if token is not None:
            self._metadata["authorization"] = f"Bearer {token}"
        self._methods: dict[events.Call, Any] = {
            events.Call.STATUS: stub.StatusStream,
            events.Call.EVENTS: stub.EventStream,
            events.Call.AUDIO: stub.ServerAudioStream,
        }
        self._reopens = reopens
        self._whole_takes = whole_takes
        self._reason = ""

    async def run(self) -> str:
        """Open the calls and serve them; return the reason for which the connection is over.

        Cancelling it resets the three calls.
        """
        try:
            async with AsyncExitStack() as stack:
                opened = [
                    (call, await stack.enter_async_context(self._open(call)))
                    for call in events.Call
                ]
                self._owner.emit(events.Connected())
                async with trio.open_nursery() as nursery:
                    for call, stream in opened:
                        nursery.start_soon(self._keep, call, stream, nursery.cancel_scope)
        except GRPCError as error:
            return _name(error)
        return self._reason

    @asynccontextmanager
    async def _open(self, call: events.Call) -> AsyncIterator[Stream]:
        """Open a call and say all that the device says of its own accord."""
        async with self._methods[call].open(metadata=self._metadata) as stream:
            if call is events.Call.AUDIO:
                await stream.send_message(AudioStreamRequest(start=True), end=True)
            yield stream

    async def _keep(self, call: events.Call, stream: Stream, session: trio.CancelScope) -> None:
        """Attend to a call; open it again when it fails alone; end all when all has failed."""
        end = await self._attend(call, stream)
        pause_s = REOPEN_S
        while end.status is not Status.UNAVAILABLE:
            self._owner.emit(events.CallLost(call, _name(end)))
            await trio.sleep(pause_s if self._reopens else float("inf"))
            pause_s = min(2 * pause_s, REOPEN_MAX_S)
            end = await self._reopen(call)
        self._reason = _name(end)
        session.cancel()

    async def _reopen(self, call: events.Call) -> GRPCError:
        try:
            async with self._open(call) as stream:
                self._owner.emit(events.CallReopened(call))
                return await self._attend(call, stream)
        except GRPCError as error:
            return error

    async def _attend(self, call: events.Call, stream: Stream) -> GRPCError:
        use = {
            events.Call.STATUS: self._answer_status,
            events.Call.EVENTS: self._send_events,
            events.Call.AUDIO: self._read_audio,
        }
        try:
            await use[call](stream)
        except GRPCError as error:
            return error
        return GRPCError(Status.OK, "ended by the server")

    async def _answer_status(self, stream: Stream) -> None:
        """Say nothing until asked; then answer every request."""
        async for request in stream:
            match request.WhichOneof("request"):
                case "get":
                    self._owner.emit(events.StateAsked())
                    await stream.send_message(state_answer(self._owner.colours))
                case "set":
                    self._owner.emit(leds_set(request.set))
                    await stream.send_message(DeviceStatusResponse(status="success"))
                case _:
                    self._owner.emit(events.RequestUnclear())
                    await stream.send_message(DeviceStatusResponse(status="unknown request"))

    async def _send_events(self, stream: Stream) -> None:
        """In lock-step: one event, one response, the next event."""
        while True:
            event = await self._owner.next_event()
            self._owner.emit(event)
            await stream.send_message(device_event(event))
            response = await stream.recv_message()
            if response is None:
                return
            self._owner.emit(events.EventAcked(response.ack))

    async def _read_audio(self, stream: Stream) -> None:
        packets = 0
        while True:
            await self._owner.reading.wait_value(True)
            message = await stream.recv_message()
            if message is None:
                return
            packets = 1 if message.is_start else packets + 1
            self._owner.emit(events.PacketReceived(message.is_start, message.is_end, message.data))
            if message.is_end and self._whole_takes:
                await self._play_whole(packets)

    async def _play_whole(self, packets: int) -> None:
        self._owner.emit(events.ReadingPaused())
        await trio.sleep(packets * events.PACKET_S)
        self._owner.emit(events.ReadingResumed())


def _name(error: GRPCError) -> str:
    return f"{error.status.name}: {error.message}" if error.message else error.status.name
