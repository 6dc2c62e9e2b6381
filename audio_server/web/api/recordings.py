"""Recordings of live channels: a list, their sound, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from typing import BinaryIO, Final

import trio
from starlette.responses import Response

from audio_server.clips.naming import clean_title
from audio_server.live.recordings import FolderUnusable, NoSuchRecording, Recording, Recordings
from audio_server.web.api import models
from audio_server.web.api import recording_models as shapes
from audio_server.web.api.at_once import AtOnce
from audio_server.web.api.clips import FIXED, UNCLEAR, described
from audio_server.web.api.operation import ApiRequest, Content, Operation, Problem
from audio_server.web.api.sounds import LISTENERS_MAX, PART_BYTES, answer_part
from audio_server.web.context import Context

SOUND: Final = Content("audio/ogg", "Opus in Ogg, as it was sent", None)
RECORDING: Final = "/api/recordings/{name}"
UNKNOWN: Final = {404: "no such recording"}
NO_RECORDING: Final = "there is no such recording"
BUSY: Final = "too many recordings are being listened to"
UNUSABLE: Final = {503: "the folder of recordings cannot be used"}
RUNNING: Final = "it is being written; end its sound first"


class RecordingOperations:
    """They work on the folder of recordings, also while none is made."""

    def __init__(self, context: Context) -> None:
        self._recordings: Recordings | None = context.recordings
        self._repository = context.repository
        self._listeners = AtOnce(LISTENERS_MAX, BUSY)
        self._looking = trio.CapacityLimiter(1)

    @Operation("GET", "/api/recordings", shapes.Recordings, problems=UNUSABLE)
    async def list_recordings(self, asked: ApiRequest) -> shapes.Recordings:
        """All recordings of live channels, the newest first."""
        if self._recordings is None:
            return shapes.Recordings([])
        try:
            found = await trio.to_thread.run_sync(self._recordings.all, limiter=self._looking)
        except FolderUnusable as error:
            raise Problem(503, str(error)) from error
        running = self._recordings.running
        return shapes.Recordings([_shape(one, one.name in running) for one in found])

    @Operation("GET", f"{RECORDING}/sound", SOUND, problems=UNKNOWN | {503: BUSY}, in_parts=True)
    async def get_recording(self, asked: ApiRequest) -> Response:
        """A recording, also one that is being written, as far as it has come."""
        self._listeners.check()
        file = await self._open(asked.named("name"))
        return answer_part(asked.request, _OpenFile(file, self._listeners), SOUND.media_type)

    @Operation(
        "DELETE",
        RECORDING,
        shapes.Deleted,
        problems=UNKNOWN | UNUSABLE | {409: "it is being written"},
    )
    async def delete_recording(self, asked: ApiRequest) -> shapes.Deleted:
        """Delete a recording."""
        name, recordings = asked.named("name"), self._recordings
        if recordings is None:
            raise Problem(404, NO_RECORDING)
        if name in recordings.running:
            raise Problem(409, RUNNING)
        try:
            await trio.to_thread.run_sync(recordings.delete, name)
        except NoSuchRecording:
            raise Problem(404, NO_RECORDING) from None
        except FolderUnusable as error:
            raise Problem(503, str(error)) from error
        return shapes.Deleted(name)

    @Operation(
        "POST",
        f"{RECORDING}/clip",
        models.Clips,
        body=shapes.NewClip,
        problems=UNKNOWN | FIXED | UNCLEAR | {413: "its sound is too long for a clip"},
    )
    async def make_clip(self, asked: ApiRequest) -> models.Clips:
        """Make a recording a clip, which gets the next mode; the recording stays."""
        name = asked.named("name")
        title = asked.body.title
        file = await self._open(name)
        try:
            found = clean_title(_title_of(name) if title is None else title)
            await self._repository.upload(f"{found}.opus", _parts(file))
        finally:
            file.close()
        return described(self._repository)

    async def _open(self, name: str) -> BinaryIO:
        """Open a recording. Raises `Problem`."""
        if self._recordings is None:
            raise Problem(404, NO_RECORDING)
        try:
            return await trio.to_thread.run_sync(self._recordings.open, name)
        except NoSuchRecording:
            raise Problem(404, NO_RECORDING) from None


class _OpenFile:
    """A `Readable` of a file, as long as it is now."""

    def __init__(self, file: BinaryIO, listeners: AtOnce) -> None:
        self._file = file
        self.listeners = listeners
        self.size = file.seek(0, 2)

    async def read(self, start: int, stop: int) -> bytes:
        """As `Readable`."""
        return await trio.to_thread.run_sync(_read, self._file, start, stop - start)

    def close(self) -> None:
        """As `Readable`."""
        self._file.close()


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    while part := await trio.to_thread.run_sync(partial(file.read, PART_BYTES)):
        yield part


def _shape(one: Recording, running: bool) -> shapes.Recording:
    size_bytes = one.size_bytes
    return shapes.Recording(one.name, one.channel, one.begun, one.seconds, size_bytes, running)


def _title_of(name: str) -> str:
    """Return the channel and the time of a recording, as people write it; in UTC."""
    channel, _, stamp = name.removesuffix(".opus").rpartition("-")
    at = time.strptime(stamp, "%Y%m%dT%H%M%SZ")
    return f"{channel} {time.strftime('%Y-%m-%d %H.%M', at)}"
