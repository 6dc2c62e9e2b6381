"""Queries and changes of clips."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from audio_server.clips.repository import Repository
from audio_server.names import checked_tag
from audio_server.web.api import models
from audio_server.web.api.at_once import AtOnce
from audio_server.web.api.bodies import sent_file
from audio_server.web.api.groups import NO_SUCH
from audio_server.web.api.operation import (
    JSON_CLIPS_BYTES,
    ApiRequest,
    Content,
    Operation,
    Problem,
)
from audio_server.web.api.sounds import Sounds, answer_part
from audio_server.web.context import Context

SOUND: Final = Content("audio/ogg", "Opus in Ogg", None)
FILE: Final = Content("application/octet-stream", "a sound file of any common format", None)

CLIP: Final = "/api/clips/{name}"

BUSY: Final = {503: "too many clips are being listened to"}
DRAWING: Final = {503: "too many waveforms are being drawn"}
DRAWINGS_MAX: Final = 64
"""Waveforms that are asked for at a time; they are drawn one after the other."""

UNKNOWN: Final = {404: "no such clip, or no such group"}
NO_GROUP: Final = {404: NO_SUCH}
EITHER: Final = "give either group or device"
FIXED: Final = {403: "nothing can be changed here, or only a page of this server may do that"}
UNCLEAR: Final = {422: "a file is no clip, or several clips have that title; nothing has changed"}
SHARED: Final = {
    409: "another node has changed the clips meanwhile, or the group cannot have a folder",
    503: "the cluster is down, and keeps no change",
}
NOT_TAKEN: Final = {
    **SHARED,
    404: NO_SUCH,
    408: "the file stopped coming",
    413: "the file or its sound is too large",
    415: "the body is a form",
    **FIXED,
    **UNCLEAR,
}


def described(clips: Repository) -> models.Clips:
    """Describe the clips of a repository."""
    facts = {
        "clips": clips.entries,
        "fixed_because": clips.fixed_because,
        "own": clips.is_own,
    }
    return msgspec.convert(facts, models.Clips, from_attributes=True)


class ClipOperations:
    """They work on the repository. Each change answers with all clips, when they are in force."""

    def __init__(self, context: Context) -> None:
        self._fleet = context.fleet
        self._groups = context.groups
        self._repository = context.repository
        self._sounds = Sounds()
        self._drawing = AtOnce(DRAWINGS_MAX, "too many waveforms are being drawn")

    @Operation("GET", "/api/clips", models.Clips, query=models.OfWhom, problems=NO_GROUP)
    async def list_clips(self, asked: ApiRequest) -> models.Clips:
        """All clips, or those of a group or a device; the first is played in mode 0."""
        return described(await self._of(asked))

    async def _of(self, asked: ApiRequest) -> Repository:
        """Return the clips that a request means. Raises `Problem` for a group that is none."""
        group, device = asked.query.group, getattr(asked.query, "device", None)
        if group is not None and device is not None:
            raise Problem(400, EITHER)
        if device is not None:
            return await self._groups.repositories.of_device(device)
        if group is None:
            return self._repository
        name = checked_tag(group)
        if name not in self._groups.all and not self._fleet.tagged(name):
            raise Problem(404, f"{name}: {NO_SUCH}")
        return await self._groups.repositories.of_group(name)

    @Operation(
        "POST",
        "/api/clips",
        models.Clips,
        query=models.Upload,
        body=FILE,
        problems=NOT_TAKEN,
    )
    async def add_clip(self, asked: ApiRequest) -> models.Clips:
        """Add a clip, which gets the next mode."""
        clips = await self._of(asked)
        async with sent_file(asked.request) as parts:
            await clips.upload(asked.query.name, parts)
        return described(clips)

    @Operation(
        "POST",
        "/api/clips/reload",
        models.Clips,
        query=models.OfGroup,
        problems=NO_GROUP | UNCLEAR | SHARED,
    )
    async def reload_clips(self, asked: ApiRequest) -> models.Clips:
        """Read the folder of clips anew."""
        clips = await self._of(asked)
        await clips.reload()
        return described(clips)

    @Operation(
        "PUT",
        "/api/clips/order",
        models.Clips,
        query=models.OfGroup,
        body=models.Order,
        json_max_bytes=JSON_CLIPS_BYTES,
        problems=UNKNOWN | FIXED | UNCLEAR | SHARED,
    )
    async def order_clips(self, asked: ApiRequest) -> models.Clips:
        """Put the clips in another order; that gives their files other names."""
        clips = await self._of(asked)
        await clips.reorder(asked.body.names)
        return described(clips)

    @Operation(
        "PUT", CLIP, models.Clips, query=models.OfGroup, body=FILE, problems=NOT_TAKEN | UNKNOWN
    )
    async def replace_clip(self, asked: ApiRequest) -> models.Clips:
        """Replace a clip's audio; a take goes on with the old one."""
        clips = await self._of(asked)
        async with sent_file(asked.request) as parts:
            await clips.replace(asked.named("name"), parts)
        return described(clips)

    @Operation(
        "PATCH",
        CLIP,
        models.Clips,
        query=models.OfGroup,
        body=models.Retitle,
        problems=UNKNOWN | UNCLEAR | FIXED | SHARED,
    )
    async def rename_clip(self, asked: ApiRequest) -> models.Clips:
        """Give a clip another title; its mode and its sound stay."""
        clips = await self._of(asked)
        await clips.rename(asked.named("name"), asked.body.title)
        return described(clips)

    @Operation(
        "DELETE",
        CLIP,
        models.Clips,
        query=models.OfGroup,
        problems=UNKNOWN | UNCLEAR | FIXED | SHARED,
    )
    async def remove_clip(self, asked: ApiRequest) -> models.Clips:
        """Remove a clip; the modes after it move up."""
        clips = await self._of(asked)
        await clips.remove(asked.named("name"))
        return described(clips)

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
        clips = await self._of(asked)
        with self._drawing.counted():
            peaks = await clips.peaks(asked.named("name"), asked.query.points)
        return models.Waveform(peaks)

    @Operation(
        "GET",
        f"{CLIP}/sound",
        SOUND,
        query=models.OfWhom,
        problems=UNKNOWN | UNCLEAR | BUSY,
        in_parts=True,
    )
    async def get_sound(self, asked: ApiRequest) -> Response:
        """A clip, as it is sent."""
        sound = await self._sounds.of(await self._of(asked), asked.named("name"))
        return answer_part(asked.request, sound, SOUND.media_type)
