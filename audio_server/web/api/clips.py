"""Queries and changes of clips."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from audio_server.web.api import models
from audio_server.web.api.at_once import AtOnce
from audio_server.web.api.bodies import sent_file
from audio_server.web.api.operation import JSON_CLIPS_BYTES, ApiRequest, Content, Operation
from audio_server.web.api.sounds import Sounds, answer_part
from audio_server.web.context import Context

SOUND: Final = Content("audio/ogg", "Opus in Ogg", None)
FILE: Final = Content("application/octet-stream", "a sound file of any common format", None)

CLIP: Final = "/api/clips/{name}"

BUSY: Final = {503: "too many clips are being listened to"}
DRAWING: Final = {503: "too many waveforms are being drawn"}
DRAWINGS_MAX: Final = 64
"""Waveforms that are asked for at a time; they are drawn one after the other."""

UNKNOWN: Final = {404: "no such clip"}
FIXED: Final = {403: "nothing can be changed here, or only a page of this server may do that"}
UNCLEAR: Final = {422: "a file is no clip, or several clips have that title; nothing has changed"}
SHARED: Final = {
    409: "another node of the cluster has changed the clips meanwhile",
    503: "the cluster is down, and keeps no change",
}
NOT_TAKEN: Final = {
    **SHARED,
    408: "the file stopped coming",
    413: "the file or its sound is too large",
    415: "the body is a form",
    **FIXED,
    **UNCLEAR,
}


class ClipOperations:
    """They work on the repository. Each change answers with all clips, when they are in force."""

    def __init__(self, context: Context) -> None:
        self._repository = context.repository
        self._sounds = Sounds(context.repository)
        self._drawing = AtOnce(DRAWINGS_MAX, "too many waveforms are being drawn")

    @Operation("GET", "/api/clips", models.Clips)
    async def list_clips(self, asked: ApiRequest) -> models.Clips:
        """All clips; the first is played in mode 0."""
        clips = {"clips": self._repository.entries, "fixed_because": self._repository.fixed_because}
        return msgspec.convert(clips, models.Clips, from_attributes=True)

    @Operation(
        "POST", "/api/clips", models.Clips, query=models.Upload, body=FILE, problems=NOT_TAKEN
    )
    async def add_clip(self, asked: ApiRequest) -> models.Clips:
        """Add a clip, which gets the next mode."""
        async with sent_file(asked.request) as parts:
            await self._repository.upload(asked.query.name, parts)
        return await self.list_clips(asked)

    @Operation("POST", "/api/clips/reload", models.Clips, problems=UNCLEAR | SHARED)
    async def reload_clips(self, asked: ApiRequest) -> models.Clips:
        """Read the folder of clips anew."""
        await self._repository.reload()
        return await self.list_clips(asked)

    @Operation(
        "PUT",
        "/api/clips/order",
        models.Clips,
        body=models.Order,
        json_max_bytes=JSON_CLIPS_BYTES,
        problems=UNKNOWN | FIXED | UNCLEAR | SHARED,
    )
    async def order_clips(self, asked: ApiRequest) -> models.Clips:
        """Put the clips in another order; that gives their files other names."""
        await self._repository.reorder(asked.body.names)
        return await self.list_clips(asked)

    @Operation("PUT", CLIP, models.Clips, body=FILE, problems=UNKNOWN | NOT_TAKEN)
    async def replace_clip(self, asked: ApiRequest) -> models.Clips:
        """Replace a clip's audio; a take goes on with the old one."""
        async with sent_file(asked.request) as parts:
            await self._repository.replace(asked.named("name"), parts)
        return await self.list_clips(asked)

    @Operation(
        "PATCH",
        CLIP,
        models.Clips,
        body=models.Retitle,
        problems=UNKNOWN | UNCLEAR | FIXED | SHARED,
    )
    async def rename_clip(self, asked: ApiRequest) -> models.Clips:
        """Give a clip another title; its mode and its sound stay."""
        await self._repository.rename(asked.named("name"), asked.body.title)
        return await self.list_clips(asked)

    @Operation("DELETE", CLIP, models.Clips, problems=UNKNOWN | UNCLEAR | FIXED | SHARED)
    async def remove_clip(self, asked: ApiRequest) -> models.Clips:
        """Remove a clip; the modes after it move up."""
        await self._repository.remove(asked.named("name"))
        return await self.list_clips(asked)

    @Operation(
        "GET",
        f"{CLIP}/waveform",
        models.Waveform,
        query=models.Points,
        problems=UNKNOWN | UNCLEAR | DRAWING,
    )
    async def draw_clip(self, asked: ApiRequest) -> models.Waveform:
        """A clip's waveform, to look at."""
        self._drawing.check()
        with self._drawing.counted():
            peaks = await self._repository.peaks(asked.named("name"), asked.query.points)
        return models.Waveform(peaks)

    @Operation("GET", f"{CLIP}/sound", SOUND, problems=UNKNOWN | UNCLEAR | BUSY, in_parts=True)
    async def get_sound(self, asked: ApiRequest) -> Response:
        """A clip, as it is sent."""
        sound = await self._sounds.of(asked.named("name"))
        return answer_part(asked.request, sound, SOUND.media_type)
