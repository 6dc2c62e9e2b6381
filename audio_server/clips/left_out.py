"""Files in a folder of clips that are no clips, though they may have been meant so."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from audio_server.clips.errors import as_text

NAMES_MAX = 10
"""How many files one warning names."""

_log = logging.getLogger(__name__)


class LeftOut:
    """The files left out of the clips of one folder, at its last reading.

    `files` gives the name of each file the reason, in words. `no_sound` has the keys of content in
    which no sound was found, so that it is not decoded again.
    """

    def __init__(self) -> None:
        self.files: Mapping[str, str] = {}
        self.no_sound: set[str] = set()

    def note(self, folder: Path, files: Mapping[str, str]) -> None:
        """Keep the files that are left out now; log one warning that names all, if one is new."""
        is_news = not files.keys() <= self.files.keys()
        self.files = dict(files)
        if is_news:
            _log.warning("%s: left out of the clips: %s", folder, _named(files))


def _named(files: Mapping[str, str]) -> str:
    some = [f"{_shown(name)} ({reason})" for name, reason in sorted(files.items())[:NAMES_MAX]]
    more = len(files) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "")


def _shown(name: str) -> str:
    """Return a name in one line of printable text."""
    chars = as_text(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in chars)
