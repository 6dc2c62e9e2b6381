"""Peer: `grpc.aio`, handlers as async generators (grpc.io, Python, "Async streaming")."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from audio_server.wire.comms_pb2 import (
    AudioPacket,
    AudioStreamRequest,
    DeviceEvent,
    DeviceEventResponse,
    DeviceStatusRequest,
    DeviceStatusResponse,
)
from benchmarks.peers.aio import Device
from benchmarks.peers.common import Options, read_options
from benchmarks.peers.grpcio import add_device_service, add_port, device_id


class DeviceService:
    """The three calls; a device is known by the `device_id` of its calls."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.devices: dict[str, Device] = {}

    def _device(self, context: Any) -> Device:
        return self.devices.setdefault(device_id(context), Device(self.options))

    async def StatusStream(
        self, answers: AsyncIterator[DeviceStatusResponse], context: Any
    ) -> AsyncIterator[DeviceStatusRequest]:
        """Send the LEDs when they change; the next ones when these are answered."""
        device = self._device(context)
        while True:
            await device.leds_changed.wait()
            device.leds_changed.clear()
            yield device.state.leds()
            await anext(answers)

    async def EventStream(
        self, events: AsyncIterator[DeviceEvent], context: Any
    ) -> AsyncIterator[DeviceEventResponse]:
        """Acknowledge each press at once."""
        device = self._device(context)
        async for event in events:
            device.press(event)
            yield DeviceEventResponse(ack=event.HasField("button_event"))

    async def ServerAudioStream(
        self, request: AudioStreamRequest, context: Any
    ) -> AsyncIterator[AudioPacket]:
        """Stream what the device plays."""
        async for packet in self._device(context).sound():
            yield packet


async def _serve(options: Options) -> None:
    server = grpc.aio.server()
    add_device_service(DeviceService(options), server)
    port = add_port(server, options)
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(read_options()))
