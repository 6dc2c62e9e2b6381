"""Whose fault an error is, and the status that says so: the one place where that is decided."""

from __future__ import annotations

from audio_server.clips.errors import ClipError, ClipsFixed, ClipTooLarge, NoSuchClip, UploadTooSlow
from audio_server.fleet.names import BadName
from audio_server.web.api.operation import Problem

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NoSuchClip, 404),
    (ClipTooLarge, 413),
    (UploadTooSlow, 408),
    (ClipsFixed, 403),
    (ClipError, 422),
    (BadName, 422),
)


def problem_of(error: Exception) -> Problem | None:
    """Return the answer to an error; None for a fault of the server."""
    if isinstance(error, Problem):
        return error
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return Problem(status, str(error))
    return None
