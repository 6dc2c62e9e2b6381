"""A device's three calls, attended by tasks; what it sees, and its buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.device.behaviour import Action, Button
from audio_server.device.leds import Frame
from audio_server.rpc.framing import frame_message
from audio_server.wire.comms_pb2 import (
    AudioPacket,
    AudioStreamRequest,
    ButtonEvent,
    DeviceEvent,
    DeviceStatus,
    DeviceStatusRequest,
    DeviceStatusResponse,
    RGBAColor,
)

SUCCESS = DeviceStatusResponse(status="success")


def event_of(button: Button, action: Action = Action.PRESS) -> DeviceEvent:
    """An event as it travels."""
    event = ButtonEvent(
        button_id=ButtonEvent.ButtonId.Name(button), event=ButtonEvent.ButtonEventType.Name(action)
    )
    return DeviceEvent(button_event=event)


def state_of(leds: Sequence[int | None], *, battery: float = 0.0) -> DeviceStatusResponse:
    """What a stock device says of its LEDs: no intensity, and LED 0 is white. None: nothing."""
    state = DeviceStatus(battery_level=battery)
    for number, led in enumerate(leds):
        if led is not None:
            rgba = led | 0xFF if number else 0xFFFFFFFF
            getattr(state, f"led_{number}").CopyFrom(RGBAColor(rgba=rgba))
    return DeviceStatusResponse(state=state)


async def send_bytes(call: Any, message: bytes) -> None:
    """Send a message that is these bytes, whatever they mean."""
    await call._opened.send_message(frame_message(message))


async def status_of(call: Any) -> Status:
    """With which status a call ends; what comes before that is dropped."""
    try:
        await call.recv_trailing_metadata()
    except GRPCError as error:
        return error.status
    return Status.OK


class Panel:
    """What a device on a connection sees, each with when it did; and its buttons.

    `answer` is what it says to a frame, `answer_s` how long it takes; None: nothing, ever. `looks`
    has the times at which it was asked what it shows; it answers `state`, or with the LEDs that it
    was sent. `draw` is what it makes of a frame.
    `ended` has the status of each call that came to its end.
    """

    def __init__(self, answer: DeviceStatusResponse | None = SUCCESS) -> None:
        self.frames: list[tuple[float, Frame]] = []
        self.packets: list[tuple[float, AudioPacket]] = []
        self.ended: dict[str, Status] = {}
        self.calls: dict[str, Any] = {}
        self.answer = answer
        self.answer_s = 0.0
        self.looks: list[float] = []
        self.state: DeviceStatusResponse | None = None
        self.drawn: tuple[int, ...] = (0,) * 6
        self.draw: Callable[[Frame], tuple[int, ...]] = lambda leds: leds
        self.reads = trio.Event()

    @property
    def shown(self) -> Frame:
        """What it draws."""
        return self.frames[-1][1]

    @property
    def heard(self) -> list[str]:
        """The packets by name; what ends a take is marked with a full stop."""
        return [
            (p.data.decode().rstrip() if p.data.isascii() else "cut") + "." * p.is_end
            for _, p in self.packets
        ]

    async def press(self, *buttons: Button, action: Action = Action.PRESS) -> None:
        """Press buttons one after the other, each when the one before is acknowledged."""
        for button in buttons:
            assert await self.send(event_of(button, action))

    async def send(self, event: DeviceEvent) -> bool:
        """Send one event; its acknowledgement."""
        await self.calls["EventStream"].send_message(event)
        ack: bool = (await self.calls["EventStream"].recv_message()).ack
        return ack

    async def answer_frames(self, call: Any) -> None:
        """`StatusStream`."""
        async for request in call:
            answer = self._answer_to(request)
            if answer is not None:
                await trio.sleep(self.answer_s)
                await call.send_message(answer)

    def _answer_to(self, request: DeviceStatusRequest) -> DeviceStatusResponse | None:
        if request.WhichOneof("request") == "get":
            self.looks.append(trio.current_time())
            return self.answer and (self.state or state_of(self.drawn))
        self.frames.append((trio.current_time(), _leds(request)))
        self.drawn = self.draw(self.shown)
        return self.answer

    async def read_packets(self, call: Any) -> None:
        """`ServerAudioStream`."""
        while True:
            await self.reads.wait()
            packet = await call.recv_message()
            if packet is None:
                return
            self.packets.append((trio.current_time(), packet))

    async def attend(self, name: str, stub: Any, device_id: str, nursery: trio.Nursery) -> None:
        """Open a call and keep it, until it ends or is cancelled."""
        await nursery.start(self._keep, name, getattr(stub, name), device_id)

    async def _keep(
        self, name: str, method: Any, device_id: str, *, task_status: trio.TaskStatus[None]
    ) -> None:
        try:
            async with method.open(metadata={"device_id": device_id}) as call:
                self.calls[name] = call
                task_status.started()
                if name == "StatusStream":
                    await self.answer_frames(call)
                elif name == "ServerAudioStream":
                    await call.send_message(AudioStreamRequest(start=True), end=True)
                    await self.read_packets(call)
                else:
                    await trio.sleep_forever()
            self.ended[name] = Status.OK
        except GRPCError as error:
            self.ended[name] = error.status


def _leds(request: DeviceStatusRequest) -> Frame:
    assert request.WhichOneof("request") == "set"
    zero, one, two, three, four, five = (getattr(request.set, f"led_{n}").rgba for n in range(6))
    return zero, one, two, three, four, five
