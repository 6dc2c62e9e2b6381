"""A device in a page of Python: it presses Mode and Play, shows its LEDs and counts what it hears.

It needs grpcio, and the messages that protoc makes of comms.proto: here those of the server.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import Any

import grpc

from audio_server.wire import comms_pb2 as messages

SERVICE = "/com.opalcamera.test.DeviceService"
WHO = (("device_id", "small"),)
MODE, PLAY = messages.ButtonEvent.BUTTON_2, messages.ButtonEvent.BUTTON_4


class Device:
    """Three calls on one connection, each with a thread of its own."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.heard = threading.Event()
        self.leds = [0] * 6
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._presses: queue.SimpleQueue[Any] = queue.SimpleQueue()
        status = _call(channel.stream_stream, "StatusStream", messages.DeviceStatusRequest)
        events = _call(channel.stream_stream, "EventStream", messages.DeviceEventResponse)
        audio = _call(channel.unary_stream, "ServerAudioStream", messages.AudioPacket)
        self._acks = events(iter(self._presses.get, None), metadata=WHO)
        requests = status(iter(self._answers.get, None), metadata=WHO)
        packets = audio(messages.AudioStreamRequest(start=True), metadata=WHO)
        threading.Thread(target=self._show, args=[requests], daemon=True).start()
        threading.Thread(target=self._hear, args=[packets], daemon=True).start()

    def press(self, button: messages.ButtonEvent.ButtonId) -> None:
        """One event, then one response, before the next event."""
        event = messages.ButtonEvent(button_id=button, event=messages.ButtonEvent.PRESS)
        self._presses.put(messages.DeviceEvent(button_event=event))
        print("pressed", messages.ButtonEvent.ButtonId.Name(button), "ack:", next(self._acks).ack)

    def _show(self, requests: Any) -> None:
        """Answer every request; draw all six LEDs from each `set`."""
        for request in requests:
            if request.WhichOneof("request") == "set":
                self.leds = [getattr(request.set, f"led_{n}").rgba for n in range(6)]
                print("LEDs", *(f"{led >> 8:06x}" for led in self.leds))
                self._answers.put(messages.DeviceStatusResponse(status="success"))
            else:
                shown = {f"led_{n}": {"rgba": led | 0xFF} for n, led in enumerate(self.leds)}
                state = messages.DeviceStatus(**shown)
                self._answers.put(messages.DeviceStatusResponse(state=state))

    def _hear(self, packets: Any) -> None:
        """Each message is an Opus packet of 20 ms; a real device decodes it."""
        count = 0
        for packet in packets:
            count = 1 if packet.is_start else count + 1
            if packet.is_start:
                print("a take begins")
            if packet.is_end:
                print(f"a take ends: {count * 20} ms")
                self.heard.set()


def _call(kind: Any, name: str, answer: Any) -> Any:
    return kind(f"{SERVICE}/{name}", lambda m: m.SerializeToString(), answer.FromString)


def main(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        device = Device(channel)
        device.press(MODE)
        device.press(PLAY)
        time.sleep(1)
        device.press(messages.ButtonEvent.BUTTON_3)
        if not device.heard.wait(5):
            sys.exit("no take has ended")


if __name__ == "__main__":
    main(sys.argv[1])
