"""Live channels: a list of them, and the way in for their sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
import trio

from audio_server.clips.ogg_opus import NotPlainOpus, OpusStream
from audio_server.device.live_channel import ChannelBusy, LiveChannel
from audio_server.live.pace import Pace
from audio_server.web.api import channel_models as shapes
from audio_server.web.api.bodies import SILENT_S, Parts, sent_file
from audio_server.web.api.operation import ApiRequest, Content, Operation, Problem
from audio_server.web.context import Context
from audio_server.web.origins import peer_of
from audio_server.wire.audio import PACKET_MS

SOUND: Final = "Opus in Ogg: mono, 48 kHz, 20 ms a packet; in real time"
OPUS: Final = Content("application/octet-stream", SOUND, None)

UNKNOWN: Final = "there is no such channel; the setting live names them"
BUSY: Final = "sound is sent to the channel already"
NOT_OPUS: Final = (
    "the body is not Opus in Ogg, mono, 48 kHz, 20 ms a packet; FFmpeg makes it with "
    "-c:a libopus -ac 1 -ar 48000 -frame_duration 20 -page_duration 20000 -f ogg"
)

log = structlog.get_logger()


class Channels:
    """The live channels by their names, in the order of their modes."""

    def __init__(self, channels: Sequence[LiveChannel]) -> None:
        self.by_name = {channel.name: channel for channel in channels}
        self.names = list(self.by_name)

    def find(self, name: str) -> LiveChannel:
        """Return a channel. Raises `Problem` for an unknown one."""
        if (channel := self.by_name.get(name)) is None:
            raise Problem(404, UNKNOWN)
        return channel

    def playable(self, name: str) -> str:
        """Return the name. Raises `Problem` for an unknown one, and one without sound."""
        if self.find(name).is_over:
            raise Problem(409, f"no sound is sent to {name}")
        return name


class ChannelOperations:
    """They work on the channels of this process."""

    def __init__(self, context: Context) -> None:
        self._channels = Channels(context.channels)
        self._repository = context.repository

    @Operation("GET", "/api/live", shapes.Channels)
    async def list_channels(self, asked: ApiRequest) -> shapes.Channels:
        """All live channels."""
        modes = enumerate(self._channels.by_name.values(), len(self._repository.clips))
        return shapes.Channels([_shape(one, mode) for mode, one in modes])

    @Operation(
        "PUT",
        "/api/live/{name}",
        shapes.Sent,
        body=OPUS,
        problems={
            404: "no such channel",
            408: "the sound stopped coming",
            409: "sound is sent to the channel already",
            415: "the body is a form",
            422: "the body is not Opus as devices take it",
        },
    )
    async def send_sound(self, asked: ApiRequest) -> shapes.Sent:
        """Send sound to a live channel; the answer comes when the body has ended."""
        channel = self._channels.find(asked.named("name"))
        async with sent_file(asked.request) as parts:
            try:
                with channel.sending():
                    peer = peer_of(asked.request)
                    log.info("live sound begins", channel=channel.name, peer=peer)
                    try:
                        packets = await _send(channel, parts)
                    finally:
                        log.info("live sound ends", channel=channel.name, peer=peer)
            except ChannelBusy:
                raise Problem(409, BUSY) from None
            except NotPlainOpus:
                raise Problem(422, NOT_OPUS) from None
        return shapes.Sent(round(packets * PACKET_MS / 1000, 2))


def _shape(one: LiveChannel, mode: int) -> shapes.Channel:
    return shapes.Channel(
        name=one.name, mode=mode, sending=one.is_sending, node=one.place, **vars(one.counts)
    )


async def _send(channel: LiveChannel, parts: Parts) -> int:
    """Send all parts, in real time at most; return how many packets there were."""
    stream, packets, pace = OpusStream(), 0, Pace()
    async for part in parts:
        if trio.current_time() > pace.heard_at + SILENT_S:
            raise Problem(408, f"no sound came for {SILENT_S:.0f} s")
        await pace.took(len(part))
        for packet in stream.push(part):
            await pace.next()
            channel.put(packet)
            packets += 1
    if not packets:
        raise NotPlainOpus
    return packets
