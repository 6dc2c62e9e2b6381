"""Peer: grpcio with a thread pool, handlers as generators (grpc.io, Python, "Basics").

A call occupies a thread for as long as it is open, so the pool has three threads for each
device that is to come, and a few to spare.
"""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Lock
from typing import Any

import grpc

from audio_server.wire.comms_pb2 import (
    AudioPacket,
    AudioStreamRequest,
    DeviceEvent,
    DeviceEventResponse,
    DeviceStatusRequest,
    DeviceStatusResponse,
)
from benchmarks.peers.common import CUT, PACKET_S, Options, State, read_options
from benchmarks.peers.grpcio import add_device_service, add_port, device_id

_CALLS = 3
_SPARE_THREADS = 8


class Device:
    """One device: its state, changed under a lock that followers wait on."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.state = State()
        self.changed = Condition()
        self.changes = 1

    def press(self, event: DeviceEvent) -> None:
        """Apply a press and wake those who follow the device."""
        with self.changed:
            if self.state.press(event):
                self._tell()

    def _tell(self) -> None:
        self.changes += 1
        self.changed.notify_all()

    def leds(self) -> Iterator[DeviceStatusRequest]:
        """The LEDs now and after each change, for ever; the newest only."""
        seen = 0
        while True:
            with self.changed:
                while self.changes == seen:
                    self.changed.wait()
                seen, leds = self.changes, self.state.leds()
            yield leds

    def sound(self) -> Iterator[AudioPacket]:
        """All takes of the device for ever: each packet when it is due, `lead` packets early."""
        take = 0
        while True:
            with self.changed:
                while not self.state.playing or self.state.take == take:
                    self.changed.wait()
                take = self.state.take
            yield from self._take(take)

    def _take(self, take: int) -> Iterator[AudioPacket]:
        started = time.monotonic()
        for index, packet in enumerate(self.options.clip):
            due = started + PACKET_S * (index - self.options.lead)
            if due > time.monotonic():
                time.sleep(max(0.0, due - time.monotonic()))
            if self.state.take != take:
                if index:
                    yield CUT
                return
            yield packet
        with self.changed:
            self.state.playing = False
            self._tell()


class DeviceService:
    """The three calls; a device is known by the `device_id` of its calls."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.devices: dict[str, Device] = {}
        self.lock = Lock()

    def _device(self, context: Any) -> Device:
        with self.lock:
            return self.devices.setdefault(device_id(context), Device(self.options))

    def StatusStream(
        self, answers: Iterator[DeviceStatusResponse], context: Any
    ) -> Iterator[DeviceStatusRequest]:
        """Send the LEDs when they change; the next ones when these are answered."""
        for leds in self._device(context).leds():
            yield leds
            next(answers)

    def EventStream(
        self, events: Iterator[DeviceEvent], context: Any
    ) -> Iterator[DeviceEventResponse]:
        """Acknowledge each press at once."""
        device = self._device(context)
        for event in events:
            device.press(event)
            yield DeviceEventResponse(ack=event.HasField("button_event"))

    def ServerAudioStream(self, request: AudioStreamRequest, context: Any) -> Iterator[AudioPacket]:
        """Stream what the device plays."""
        return self._device(context).sound()


def _serve(options: Options) -> None:
    pool = ThreadPoolExecutor(_CALLS * options.devices + _SPARE_THREADS)
    server = grpc.server(pool)
    add_device_service(DeviceService(options), server)
    port = add_port(server, options)
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    _serve(read_options())
