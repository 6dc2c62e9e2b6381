"""What is due together on one connection leaves in one write, on a real socket."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import trio
from fault_house import open_house, wait_until

from audio_server.device.behaviour import State
from audio_server.device.leds import leds
from audio_server.rpc.framing import frame_message
from audio_server.rpc.io import sockets
from audio_server.wire.comms_pb2 import DeviceEventResponse
from audio_server.wire.leds import frame_leds
from benchmarks.frames import LEDS_TAKEN, PRESSES, Button, opening

ACK = frame_message(DeviceEventResponse(ack=True).SerializeToString())
SHOWN = frame_leds(leds(State(0, playing=0)))
SOUND_BYTES = 1000


class Device:
    """A socket on which presses, and answers to LED frames, are sent by different tasks."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._sending = trio.Lock()

    async def send(self, data: bytes) -> None:
        async with self._sending:
            await self.stream.send_all(data)

    async def agree(self) -> None:
        """Read everything, and answer that the LEDs are as they should be."""
        while await self.stream.receive_some(65536):
            await self.send(LEDS_TAKEN)


async def test_the_ack_the_leds_and_the_sound_of_a_play(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []

    def write(fd: int, data: bytearray) -> int:
        writes.append(bytes(data))
        return os.write(fd, data)

    monkeypatch.setattr(sockets, "os", SimpleNamespace(write=write, read=os.read))
    async with (
        open_house() as house,
        trio.open_nursery() as nursery,
        await trio.open_tcp_stream("127.0.0.1", house.port) as stream,
    ):
        socket = Device(stream)
        nursery.start_soon(socket.agree)
        await socket.send(opening("one", "writes"))
        await wait_until(lambda: "one" in house.devices.by_id, 5)
        device = house.devices.by_id["one"]
        for _ in range(10):
            await socket.send(PRESSES[Button.STOP])
            await wait_until(lambda: device.position is None, 5)
            await trio.sleep(0.05)  # the LEDs of the Stop are shown and answered
            writes.clear()
            await socket.send(PRESSES[Button.PLAY])
            await wait_until(lambda: any(len(data) > SOUND_BYTES for data in writes), 5)
            assert ACK in writes[0]
            assert SHOWN in writes[0]
            assert len(writes[0]) > SOUND_BYTES
        nursery.cancel_scope.cancel()
