"""The ways in which a file can fail to become a clip, each with its one phrase.

A decoder process says which it is by name and number; the texts are here alone, so nothing that
FFmpeg or a file says reaches an error.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from audio_server.clips.errors import ClipDamaged, ClipError, ClipTooLarge, NotSound

_UNREADABLE = "cannot be read as sound"


class Fault(Enum):
    """A fault: the kind of its error, and the error's text; `{}` is the number of `Refused`."""

    FORMAT = NotSound, f"{_UNREADABLE} (an unknown format, or its beginning is damaged)"
    NO_AUDIO = NotSound, "has no audio in it"
    CODEC = ClipDamaged, f"{_UNREADABLE} (an unknown codec)"
    UNSUPPORTED = ClipDamaged, f"{_UNREADABLE} (a variant of its codec that is not supported)"
    DAMAGED = ClipDamaged, f"{_UNREADABLE} (it is damaged)"
    MOSTLY_DAMAGED = ClipDamaged, f"{_UNREADABLE} (most of it does not decode)"
    SILENT = ClipDamaged, "has no sound in it"
    RATE = ClipDamaged, f"{_UNREADABLE} (a sample rate of {{}} Hz is not between 1000 and 768000)"
    CHANNELS = ClipDamaged, f"{_UNREADABLE} ({{}} channels are more than the 64 that can be mixed)"
    LENGTH = ClipTooLarge, "is longer than {:g} minutes"
    MEMORY = ClipDamaged, f"{_UNREADABLE} (decoding it would take too much memory)"
    TIME = ClipDamaged, f"{_UNREADABLE} (decoding it would take too long for its length)"
    CRASH = ClipDamaged, f"{_UNREADABLE} (it made the decoder fail)"
    INPUT = ClipError, "cannot be read (an input error)"

    def error(self, path: Path | str, number: float = 0) -> ClipError:
        """The error about the file `path`."""
        kind: type[ClipError] = self.value[0]
        return kind(path, self.value[1].format(number))


class Refused(Exception):
    """Nothing becomes of a file, for this fault."""

    def __init__(self, fault: Fault, number: float = 0) -> None:
        super().__init__(fault, number)
        self.fault = fault
        self.number = number
