"""A fleet with devices that tests connect and press."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import trio
from outlet import Outlet

from audio_server.clips.clip import Clip
from audio_server.device.attachment import EventAttachment
from audio_server.device.behaviour import Action, Button, Rules
from audio_server.device.registry import Devices
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.own_rows import own_fleet

CLIPS = [
    Clip.from_packets(f"clip {mode}", [b"\xf8\xff\xfe"] * 50 * (mode + 1)) for mode in range(5)
]
"""One second, two seconds, and so on to five."""

PEER = "10.0.0.7:51234"


@dataclass
class Stand:
    """Devices, and their fleet."""

    devices: Devices
    fleet: Fleet
    here: DevicesHere

    @contextmanager
    def connected(self, device_id: str = "a", number: int = 1) -> Iterator[EventAttachment]:
        """A device with all its streams; gives the one for its presses."""
        with ExitStack() as stack:
            to = self.devices
            stack.enter_context(to.attach_status(device_id, number, None, PEER))
            stack.enter_context(to.attach_audio(device_id, number, Outlet(), None, PEER))
            yield stack.enter_context(to.attach_events(device_id, number, None, PEER))


@asynccontextmanager
async def standing(clips: Any = CLIPS, **settings: Any) -> AsyncIterator[Stand]:
    """Devices that run and a fleet that runs. The settings are those of the rules."""
    devices = Devices(clips, Rules(len(clips), **settings), 0.3)
    here = DevicesHere(devices)
    fleet = own_fleet(here)
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        nursery.start_soon(fleet.run)
        async with fleet.at_work():
            yield Stand(devices, fleet, here)
        nursery.cancel_scope.cancel()


async def press(link: EventAttachment, *buttons: Button) -> None:
    for button in buttons:
        await link.press(button, Action.PRESS)


async def next_event(events: trio.MemoryReceiveChannel[bytes]) -> tuple[str, Any]:
    """The name of the next event and what it tells."""
    name, data = (await events.receive()).decode().strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))
