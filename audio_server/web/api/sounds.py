"""Sounds as files, to listen to. A part of one can be asked for: players seek so, and some play
nothing without.

Each clip is once in memory however many listen, and all are within a bound.
"""

from __future__ import annotations

import re
from typing import Final, Protocol
from weakref import WeakValueDictionary

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from audio_server.clips.repository import Repository
from audio_server.web.api.at_once import AtOnce
from audio_server.web.api.operation import Problem

SOUNDS_MAX_BYTES: Final = 128 * 1024 * 1024
"""Of all clips that are being listened to: some hours of sound. One is always possible."""

LISTENERS_MAX: Final = 64
"""Answers with sound at a time: each may be read slowly, and takes the place of a connection."""

BUSY: Final = "too many clips are being listened to"

PART_BYTES: Final = 64 * 1024
"""Bytes of it that a connection holds while it is sent."""

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""A longer number is no position in a body, and is ignored like a range of unknown form."""


class Readable(Protocol):
    """A file that is sent. `read` may wait; `close` is called once, when no more is read."""

    @property
    def size(self) -> int:
        """The bytes of the file."""

    @property
    def listeners(self) -> AtOnce:
        """The answers at a time."""

    async def read(self, start: int, stop: int) -> bytes:
        """Return a part; fewer bytes at the end of a file that has become shorter."""

    def close(self) -> None:
        """Let it go."""


class Sound:
    """A clip's file. It is kept while an answer holds it."""

    __slots__ = ("__weakref__", "clip", "data", "listeners")

    def __init__(self, clip: object, data: bytes, listeners: AtOnce) -> None:
        self.clip = clip  # so that no other clip gets its identity
        self.data = data
        self.listeners = listeners

    @property
    def size(self) -> int:
        """As `Readable`."""
        return len(self.data)

    async def read(self, start: int, stop: int) -> bytes:
        """As `Readable`."""
        return self.data[start:stop]

    def close(self) -> None:
        """As `Readable`: it is kept while an answer refers to it."""


class Sounds:
    """The files of clips that are being listened to. They are made one at a time."""

    def __init__(self) -> None:
        self._made: WeakValueDictionary[int, Sound] = WeakValueDictionary()
        self._making = trio.Lock()
        self._listeners = AtOnce(LISTENERS_MAX, BUSY)

    async def of(self, clips: Repository, name: str) -> Sound:
        """The file of one of these clips. Raises `NoSuchClip`, `ClipError`, or `Problem` where
        there is no room for one more."""
        self._listeners.check()
        async with self._making:
            clip = clips.clips[clips.find(name).mode]
            if (sound := self._made.get(id(clip))) is None:
                held_bytes = sum(len(sound.data) for sound in self._made.values())
                if held_bytes and held_bytes + len(clip.frames) > SOUNDS_MAX_BYTES:
                    raise Problem(503, f"{BUSY}; try again in a while")
                sound = Sound(clip, await clips.sound(name), self._listeners)
                self._made[id(clip)] = sound
            return sound


class SoundResponse(Response):
    """A part of a sound, sent in small parts: a slow client holds no more than one of its own."""

    def __init__(
        self,
        sound: Readable,
        start: int,
        stop: int,
        status: int,
        headers: dict[str, str],
        kind: str,
    ) -> None:
        length = {"content-length": str(stop - start)}
        super().__init__(None, status, {**headers, **length}, kind)
        self._sound = sound
        self._range = range(start, stop, PART_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        try:
            with self._sound.listeners.counted():
                await self._answer(scope, send)
        finally:
            self._sound.close()

    async def _answer(self, scope: Scope, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        if Request(scope).method != "HEAD":
            for at in self._range:
                part = await self._sound.read(at, min(at + PART_BYTES, self._range.stop))
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def answer_part(request: Request, sound: Readable, media_type: str) -> Response:
    """The part that `Range` asks for, or all of it. Raises `Problem` for one that is not there; the
    sound is closed then, and else after the answer.

    Several parts at once are not given: then it is all of it, as the protocol allows.
    """
    headers, size = {"accept-ranges": "bytes"}, sound.size
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if wanted is None or not any(wanted.groups()):
        return SoundResponse(sound, 0, size, 200, headers, media_type)
    start, stop = _bounds(wanted[1], wanted[2], size)
    if start >= stop:
        sound.close()
        raise Problem(416, f"there are {size} bytes", {"content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return SoundResponse(sound, start, stop, 206, headers, media_type)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Start of the part, and start of the bytes after it."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size
