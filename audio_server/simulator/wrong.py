"""Devices that are wrong in one thing each: they show what a judge of devices finds.

Each is the session of a `VirtualDevice`, stock but for the thing that its name says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.simulator import events
from audio_server.simulator.messages import WHITE, device_event, leds_set, state_answer
from audio_server.simulator.session import Session, Stream
from audio_server.wire.comms_pb2 import (
    AudioStreamRequest,
    DeviceEvent,
    DeviceStatusRequest,
    DeviceStatusResponse,
)

MINUTES_S = 600.0
PING_S = 0.2


class NoAudioCall(Session):
    """Opens two of its calls."""

    @asynccontextmanager
    async def _open(self, call: events.Call) -> AsyncIterator[Stream]:
        if call is events.Call.AUDIO:
            await trio.sleep(MINUTES_S)
        async with super()._open(call) as stream:
            yield stream


class NewIdEachTime(Session):
    """Calls itself something else on each connection."""

    async def run(self) -> str:
        self._owner.device_id += "-again"
        return await super().run()


class SpeaksFirst(Session):
    """Tells its state before it is asked."""

    async def _answer_status(self, stream: Stream) -> None:
        await stream.send_message(state_answer(self._owner.colours))
        await super()._answer_status(stream)


class StartsNothing(Session):
    """Asks for sound with `start: false`."""

    @asynccontextmanager
    async def _open(self, call: events.Call) -> AsyncIterator[Stream]:
        async with self._methods[call].open(metadata=self._metadata) as stream:
            if call is events.Call.AUDIO:
                await stream.send_message(AudioStreamRequest(start=False), end=True)
            yield stream


class Answers(Session):
    """Answers as a stock device, in methods that others replace."""

    async def _answer_status(self, stream: Stream) -> None:
        async for request in stream:
            if request.WhichOneof("request") == "set":
                self._draw(request)
                await stream.send_message(self._success())
            else:
                await stream.send_message(self._state())

    def _draw(self, request: DeviceStatusRequest) -> None:
        self._owner.emit(leds_set(request.set))

    def _success(self) -> DeviceStatusResponse:
        return DeviceStatusResponse(status="success")

    def _state(self) -> DeviceStatusResponse:
        return state_answer(self._owner.colours)


class SaysOk(Answers):
    """Answers a set with another word."""

    def _success(self) -> DeviceStatusResponse:
        return DeviceStatusResponse(status="ok")


class AnswersTwice(Answers):
    """Answers each set with a second message."""

    async def _answer_status(self, stream: Stream) -> None:
        async for request in stream:
            if request.WhichOneof("request") == "set":
                self._draw(request)
                await stream.send_message(self._success())
            await stream.send_message(self._state())


class HidesItsState(Answers):
    """Answers a get with a word."""

    def _state(self) -> DeviceStatusResponse:
        return DeviceStatusResponse(status="success")


class KeepsOldLeds(Answers):
    """Draws only the LEDs that a set names."""

    def _draw(self, request: DeviceStatusRequest) -> None:
        before = self._owner.colours
        named = leds_set(request.set).leds
        self._owner.colours = tuple(
            old if new is None else new >> 8 for old, new in zip(before, named, strict=True)
        )
        self._owner.colours = (WHITE, *self._owner.colours[1:])


class GivesLed0Away(Answers):
    """Draws LED 0 as the server has it."""

    def _draw(self, request: DeviceStatusRequest) -> None:
        super()._draw(request)
        power = request.set.led_0.rgba >> 8
        self._owner.colours = (power, *self._owner.colours[1:])


class CountsTo100(Answers):
    """Reports its battery in percent."""

    def _state(self) -> DeviceStatusResponse:
        answer = super()._state()
        answer.state.battery_level = 55.0
        return answer


class ReadsNoSound(Session):
    """Leaves the window of its audio call shut."""

    async def _read_audio(self, stream: Stream) -> None:
        await trio.sleep_forever()


class OneThingAtATime(Answers):
    """Answers nothing while a take comes."""

    playing = False

    async def _read_audio(self, stream: Stream) -> None:
        async for packet in stream:
            self.playing = not packet.is_end

    async def _answer_status(self, stream: Stream) -> None:
        async for request in stream:
            while self.playing:  # noqa: ASYNC110 - as firmware with one loop does
                await trio.sleep(0.1)
            if request.WhichOneof("request") == "set":
                self._draw(request)
            set_was = request.WhichOneof("request") == "set"
            await stream.send_message(self._success() if set_was else self._state())


class GivesUpOnCuts(Session):
    """Ends its audio call after a take of less than a second."""

    async def _read_audio(self, stream: Stream) -> None:
        packets = 0
        async for packet in stream:
            packets = 1 if packet.is_start else packets + 1
            if packet.is_end and packets < 50:
                await stream.cancel()
                return


class UnsetEvents(Session):
    """Sends events with no field set."""

    async def _send_events(self, stream: Stream) -> None:
        while True:
            await self._owner.next_event()
            await stream.send_message(DeviceEvent())
            await stream.recv_message()


class WaitsForNoAck(Session):
    """Sends events as they come."""

    async def _send_events(self, stream: Stream) -> None:
        while True:
            await stream.send_message(device_event(await self._owner.next_event()))


class PingsAllTheTime(Session):
    """Sends PINGs all the time, also while the server is silent."""

    async def _attend(self, call: events.Call, stream: Stream) -> GRPCError:
        if call is not events.Call.EVENTS:
            return await super()._attend(call, stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping, stream)
            end = await super()._attend(call, stream)
            nursery.cancel_scope.cancel()
        return end

    async def _ping(self, stream: Stream) -> None:
        while True:
            await trio.sleep(PING_S)
            stream.ping()


class LosesHeart(Session):
    """Ends all when one call ends, and never comes back."""

    async def _keep(self, call: events.Call, stream: Stream, session: trio.CancelScope) -> None:
        self._reason = (await self._attend(call, stream)).status.name
        session.cancel()
        self._owner.switch_off()


class ComesAtOnce(Session):
    """Opens a call again at once, whatever ended it."""

    async def _keep(self, call: events.Call, stream: Stream, session: trio.CancelScope) -> None:
        end = await self._attend(call, stream)
        while end.status is not Status.UNAVAILABLE:
            end = await self._reopen(call)
        self._reason = end.status.name
        session.cancel()
