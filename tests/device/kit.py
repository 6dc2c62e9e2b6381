"""A device's three requests, played by tasks of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
from fake_sink import FakeSink, make_clip
from trio.testing import wait_all_tasks_blocked

from audio_server.clips.clip import Clip
from audio_server.device.attachment import (
    Attachment,
    AttachmentEnded,
    AudioAttachment,
    EventAttachment,
    StatusAttachment,
)
from audio_server.device.behaviour import Action, Button, Rules, State
from audio_server.device.device import Device
from audio_server.device.leds import LedFrame
from audio_server.device.registry import Devices
from audio_server.wire.audio import SILENCE

CLIPS = [make_clip(50 * (index + 1), f"clip{index}") for index in range(5)]
"""One second, two seconds, and so on to five."""

R = TypeVar("R", bound="Request")


async def next_frame(attachment: StatusAttachment, last: LedFrame | None) -> LedFrame:
    """The newest frame as soon as it is not `last`."""
    await trio.lowlevel.checkpoint()
    while attachment.status.frame == last:
        changed = trio.Event()
        attachment.watch(changed.set)
        await changed.wait()
    return attachment.status.frame


class Request:
    """A task that holds a link, as the request of a connection does."""

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self.ended_by: AttachmentEnded | None = None
        self._scope = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self._scope:
            try:
                with self.attachment:
                    task_status.started()
                    await self.hold()
            except AttachmentEnded as why:
                self.ended_by = why

    async def hold(self) -> None:
        await trio.sleep_forever()

    async def drop(self) -> None:
        """The peer has reset this stream."""
        self._scope.cancel()
        await wait_all_tasks_blocked()


class StatusRequest(Request):
    """Keeps every frame that it would send, and when."""

    attachment: StatusAttachment

    def __init__(self, attachment: StatusAttachment) -> None:
        super().__init__(attachment)
        self.frames: list[tuple[float, LedFrame]] = []

    async def hold(self) -> None:
        frame = None
        while True:
            frame = await next_frame(self.attachment, frame)
            self.frames.append((trio.current_time(), frame))

    @property
    def shown(self) -> LedFrame:
        return self.frames[-1][1]


class AudioRequest(Request):
    """An audio stream and what came on it."""

    attachment: AudioAttachment

    def __init__(self, attachment: AudioAttachment, sink: FakeSink) -> None:
        super().__init__(attachment)
        self.sink = sink

    async def hold(self) -> None:
        await self.attachment.wait_ended()


class Connection:
    """One connection of a device, with the streams that it has opened."""

    def __init__(
        self, devices: Devices, nursery: trio.Nursery, number: int, device_id: str = "x"
    ) -> None:
        self.number = number
        self.device_id = device_id
        self._devices = devices
        self._nursery = nursery
        self.requests: list[Request] = []

    @property
    def device(self) -> Device:
        return self._devices.by_id[self.device_id]

    @property
    def state(self) -> State:
        return self.device.state

    async def open_status(self) -> StatusRequest:
        attachment = self._devices.attach_status(self.device_id, self.number)
        return await self._start(StatusRequest(attachment))

    async def open_events(self) -> EventAttachment:
        attachment = self._devices.attach_events(self.device_id, self.number)
        await self._start(Request(attachment))
        return attachment

    async def open_audio(self, sink: FakeSink | None = None) -> AudioRequest:
        sink = FakeSink() if sink is None else sink
        attachment = self._devices.attach_audio(self.device_id, self.number, sink)
        return await self._start(AudioRequest(attachment, sink))

    async def press(self, *buttons: Button, action: Action = Action.PRESS) -> None:
        """Press on an event stream that is opened for it and stays open; returns when all is
        done that follows at once."""
        events = await self.open_events()
        for button in buttons:
            await events.press(button, action)
        await wait_all_tasks_blocked()

    def change_clips(self, clips: Sequence[Clip]) -> None:
        """All devices have other clips from now on."""
        self._devices.change_clips(clips)

    async def drop(self) -> None:
        """The connection is lost: all its streams end."""
        for request in self.requests:
            await request.drop()

    def request_of(self, attachment: Attachment) -> Request:
        """The request that holds a link."""
        return next(request for request in self.requests if request.attachment is attachment)

    async def _start(self, request: R) -> R:
        self.requests.append(request)
        await self._nursery.start(request.run)
        await wait_all_tasks_blocked()
        return request


@asynccontextmanager
async def running(devices: Devices) -> AsyncIterator[trio.Nursery]:
    """Devices and a nursery for requests, both ended at the end of the block."""
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        async with trio.open_nursery() as requests:
            yield requests
            requests.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(clips: Any = CLIPS, **settings: Any) -> AsyncIterator[Connection]:
    """One connection to devices of its own. The settings are those of the rules."""
    devices = Devices(clips, Rules(len(clips), **settings), 0.3)
    async with running(devices) as requests:
        yield Connection(devices, requests, 1)


def heard(sink: FakeSink) -> list[str]:
    """The takes that came: whose packets, how many, and whether silence closed it."""
    takes: list[str] = []
    names: list[str] = []
    for packet in sink.packets:
        names.append("cut" if packet.data == SILENCE else packet.data.split(b":")[0].decode())
        if packet.is_end:
            ending = " cut" if names[-1] == "cut" else ""
            takes.append(f"{names[0]} {len(names)}{ending}")
            names = []
    return takes
