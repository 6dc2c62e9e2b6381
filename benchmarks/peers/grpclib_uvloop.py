"""Peer: grpclib on asyncio, on uvloop's event loop (grpclib's documentation, "Server")."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import uvloop
from grpclib.server import Server, Stream

from audio_server.wire.comms_grpc import DeviceServiceBase
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


class DeviceService(DeviceServiceBase):
    """The three calls; a device is known by the `device_id` of its calls."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.devices: dict[str, Device] = {}

    def _device(self, stream: Stream[Any, Any]) -> Device:
        assert stream.metadata is not None
        return self.devices.setdefault(str(stream.metadata["device_id"]), Device(self.options))

    async def StatusStream(self, stream: Stream[DeviceStatusResponse, DeviceStatusRequest]) -> None:
        """Send the LEDs when they change; the next ones when these are answered."""
        device = self._device(stream)
        while True:
            await device.leds_changed.wait()
            device.leds_changed.clear()
            await stream.send_message(device.state.leds())
            await stream.recv_message()

    async def EventStream(self, stream: Stream[DeviceEvent, DeviceEventResponse]) -> None:
        """Acknowledge each press at once."""
        device = self._device(stream)
        async for event in stream:
            device.press(event)
            await stream.send_message(DeviceEventResponse(ack=event.HasField("button_event")))

    async def ServerAudioStream(self, stream: Stream[AudioStreamRequest, AudioPacket]) -> None:
        """Stream what the device plays."""
        await stream.recv_message()
        async for packet in self._device(stream).sound():
            await stream.send_message(packet)


def _context(pair: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    if pair is None:
        return None
    key, cert = pair
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2"])
    return context


async def _serve(options: Options) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = Server([DeviceService(options)])
    await server.start(sock=listener, ssl=_context(options.tls))
    print(listener.getsockname()[1], flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    uvloop.run(_serve(read_options()))
