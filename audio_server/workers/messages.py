"""The messages between a worker and the supervisor: one JSON line each.

Lines of all workers share one pipe, so each must be written whole: none is longer than
`LINE_MAX_BYTES`, which POSIX promises to write in one piece.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import TypeAlias

LINE_MAX_BYTES = 512


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker accepts connections."""

    worker: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker has a call of the device, and asks for the device. `arrival` is when the call came
    in (`numbers`)."""

    worker: int
    device_id: str
    arrival: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The mode of the device has changed, by a press in the worker's `tenure`."""

    worker: int
    device_id: str
    tenure: int
    mode: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer to the claim of `arrival`: the worker has the device in this `tenure`, and this
    is the mode to go on in."""

    device_id: str
    arrival: int
    tenure: int
    mode: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to the claim of `arrival`: a newer call of the device is at another worker."""

    device_id: str
    arrival: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The device is at another worker, in this `tenure`."""

    device_id: str
    tenure: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to a change in a `tenure`, where modes outlive the supervisor: the mode is as safe
    as it gets."""

    device_id: str
    tenure: int


@dataclass(frozen=True, slots=True)
class Drain:
    """End all devices properly, then the process."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Read certificates anew, for new connections."""


Up: TypeAlias = Ready | Claim | Changed
"""Messages of workers."""

Down: TypeAlias = Granted | Refused | Moved | Kept | Drain | Reload
"""Messages of the supervisor."""

_UP: dict[str, type[Up]] = {kind.__name__: kind for kind in (Ready, Claim, Changed)}
_DOWN: dict[str, type[Down]] = {
    kind.__name__: kind for kind in (Granted, Refused, Moved, Kept, Drain, Reload)
}


def encode(message: Up | Down) -> bytes:
    """A message as its line."""
    fields = [type(message).__name__, *astuple(message)]
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def decode_up(line: bytes) -> Up:
    """The message of a line from a worker."""
    kind, *fields = json.loads(line)
    return _UP[kind](*fields)


def decode_down(line: bytes) -> Down:
    """The message of a line from the supervisor."""
    kind, *fields = json.loads(line)
    return _DOWN[kind](*fields)
