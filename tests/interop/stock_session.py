"""One connection of a stock device: a channel of its own, and a thread for each call."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import (
    Call,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
)
from audio_server.wire.comms_pb2 import (
    AudioPacket,
    AudioStreamRequest,
    ButtonEvent,
    DeviceEvent,
    DeviceEventResponse,
    DeviceStatus,
    DeviceStatusRequest,
    DeviceStatusResponse,
    RGBAColor,
)

if TYPE_CHECKING:
    from stock_device import Packet, StockDevice

Options: TypeAlias = Sequence[tuple[str, int]]

SERVICE = "/com.opalcamera.test.DeviceService/"
LEDS = [f"led_{number}" for number in range(6)]
MESSAGES: dict[Call, tuple[Any, Any]] = {
    Call.STATUS: (DeviceStatusResponse, DeviceStatusRequest),
    Call.EVENTS: (DeviceEvent, DeviceEventResponse),
    Call.AUDIO: (AudioStreamRequest, AudioPacket),
}
JOIN_S = 10.0


def open_channel(target: str, options: Options = ()) -> grpc.Channel:
    """A channel with a connection of its own; grpcio shares them between channels otherwise."""
    return grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1), *options])


def method(channel: grpc.Channel, call: Call) -> Any:
    """What opens a call; grpcio's generated stubs do no more than this."""
    request, answer = MESSAGES[call]
    opens: Any = channel.unary_stream if call is Call.AUDIO else channel.stream_stream
    return opens(
        SERVICE + call.value,
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )


class StockSession:
    """The calls on one connection, or with `channel_each` on one each. `is_over` is set when the
    device has been switched off."""

    def __init__(
        self, device: StockDevice, target: str, options: Options, *, channel_each: bool = False
    ) -> None:
        self.is_over = False
        self._device = device
        one = open_channel(target, options)
        self._channels = {
            call: open_channel(target, options) if channel_each else one for call in Call
        }
        self._calls: dict[Call, Any] = {}
        self._answered: set[Call] = set()
        self._threads: list[threading.Thread] = []

    def open(self, call: Call) -> None:
        """Open one call; again, if it is open or has ended."""
        attend = {
            Call.STATUS: self._open_status,
            Call.EVENTS: self._open_events,
            Call.AUDIO: self._open_audio,
        }[call]
        self._device.tell_opened(call)
        with self._device.changed:
            self._calls.pop(call, None)
            self._answered.discard(call)
        attend()

    def is_answered(self) -> bool:
        """Return whether each call has the headers of its answer: the server has all of them by
        then. The device's lock is held."""
        return self._answered >= self._calls.keys()

    def cancel(self, call: Call) -> None:
        """Lose one call; the others go on."""
        self._calls[call].cancel()

    def close(self) -> None:
        """Cancel all calls, then close the connection."""
        for stream in self._calls.values():
            stream.cancel()
        for channel in self._channels.values():
            channel.close()
        for thread in self._threads:
            thread.join(JOIN_S)
            assert not thread.is_alive(), thread

    def _wake(self) -> None:
        with self._device.changed:
            self._device.changed.notify_all()

    def _attend(self, call: Call, stream: Any, handle: Any) -> None:
        """Read a call to its end, in a thread."""

        def run() -> None:
            with contextlib.suppress(grpc.RpcError):  # the status says it
                stream.initial_metadata()
                self._tell_answered(call, stream)
                handle(stream)
            with self._device.changed:
                if self.is_over:
                    return
                current = self._calls.get(call) is stream
                tell = self._device.tell_ended if current else self._device.tell_replaced
                tell(call, stream.code())

        stream.add_callback(self._wake)
        self._calls[call] = stream
        self._threads.append(threading.Thread(target=run, daemon=True, name=call.value))
        self._threads[-1].start()

    def _tell_answered(self, call: Call, stream: Any) -> None:
        with self._device.changed:
            if self._calls.get(call) is stream:
                self._answered.add(call)
                self._device.changed.notify_all()

    def _metadata(self) -> list[tuple[str, str]]:
        return [("device_id", self._device.id)]

    # StatusStream: silent until asked, then one answer a request

    def _open_status(self) -> None:
        answers: queue.SimpleQueue[DeviceStatusResponse | None] = queue.SimpleQueue()
        stream = method(self._channels[Call.STATUS], Call.STATUS)(
            iter(answers.get, None), metadata=self._metadata()
        )
        stream.add_callback(lambda: answers.put(None))

        def handle(requests: Iterator[DeviceStatusRequest]) -> None:
            for request in requests:
                answers.put(self._answer(stream, request))

        self._attend(Call.STATUS, stream, handle)

    def _answer(self, stream: Any, request: DeviceStatusRequest) -> DeviceStatusResponse:
        device = self._device
        with device.changed:
            if request.WhichOneof("request") == "get":
                return DeviceStatusResponse(state=_state(device.told()))
            if not self.is_over:
                device.tell(LedsSet(_leds(request)))
            device.changed.wait_for(lambda: device.answers or not stream.is_active())
        return DeviceStatusResponse(status="success")

    # EventStream: one event, one answer, the next event

    def _open_events(self) -> None:
        opened: queue.SimpleQueue[Any] = queue.SimpleQueue()
        stream = method(self._channels[Call.EVENTS], Call.EVENTS)(
            self._events(opened), metadata=self._metadata()
        )
        opened.put(stream)
        self._attend(Call.EVENTS, stream, self._read_acks)

    def _events(self, opened: queue.SimpleQueue[Any]) -> Iterator[DeviceEvent]:
        stream = opened.get()
        while event := self._device.next_event(lambda: self.is_over or not stream.is_active()):
            yield message_of(event)

    def _read_acks(self, responses: Iterator[DeviceEventResponse]) -> None:
        for response in responses:
            with self._device.changed:
                if not self.is_over:
                    self._device.tell(EventAcked(response.ack))

    # ServerAudioStream: one request, then packets for as long as it reads

    def _open_audio(self) -> None:
        request = AudioStreamRequest(start=True)
        stream = method(self._channels[Call.AUDIO], Call.AUDIO)(request, metadata=self._metadata())
        packets = self._device.packets
        self._attend(Call.AUDIO, stream, lambda stream: self._read_audio(stream, packets))

    def _read_audio(self, stream: Any, packets: list[Packet]) -> None:
        device = self._device
        while True:
            with device.changed:
                device.changed.wait_for(lambda: device.reads_audio or not stream.is_active())
            packet = next(stream, None)
            with device.changed:
                if packet is None or self.is_over:
                    return
                event = PacketReceived(packet.is_start, packet.is_end, packet.data)
                device.tell_packet(packets, event)


def message_of(event: EventSent) -> DeviceEvent:
    """An event as it travels; `Button.NONE` leaves the oneof unset."""
    if event.button is Button.NONE:
        return DeviceEvent()
    button = ButtonEvent.ButtonId.Name(event.button - 1)
    action = ButtonEvent.ButtonEventType.Name(Action(event.action))
    return DeviceEvent(button_event=ButtonEvent(button_id=button, event=action))


def _leds(request: DeviceStatusRequest) -> tuple[int | None, ...]:
    leds = request.set
    return tuple(getattr(leds, name).rgba if leds.HasField(name) else None for name in LEDS)


def _state(leds: Sequence[int | None] | None) -> DeviceStatus:
    """LEDs only, at full intensity, LED 0 white; buttons and battery stay unset."""
    state = DeviceStatus()
    for name, led in zip(LEDS, leds or [None] * len(LEDS), strict=True):
        rgb = 0xFFFFFF if name == "led_0" else (led or 0) >> 8
        getattr(state, name).CopyFrom(RGBAColor(rgba=rgb << 8 | 0xFF))
    return state
