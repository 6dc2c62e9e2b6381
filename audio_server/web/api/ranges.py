"""A part of a body that is in memory: players seek so, and some play nothing without."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audio_server.web.api.operation import Problem
from audio_server.web.api.sounds import Sound, SoundResponse

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""A longer number is no position in a body, and is ignored like a range of unknown form."""


def answer_part(request: Request, sound: Sound, media_type: str) -> Response:
    """The part that `Range` asks for, or all of it. Raises `Problem` for one that is not there.

    Several parts at once are not given: then it is all of it, as the protocol allows.
    """
    headers, size = {"accept-ranges": "bytes"}, len(sound.data)
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if wanted is None or not any(wanted.groups()):
        return SoundResponse(sound, 0, size, 200, headers, media_type)
    start, stop = _bounds(wanted[1], wanted[2], size)
    if start >= stop:
        raise Problem(416, f"there are {size} bytes", {"content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return SoundResponse(sound, start, stop, 206, headers, media_type)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Start of the part, and start of the bytes after it."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size
