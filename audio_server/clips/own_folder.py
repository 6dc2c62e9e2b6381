"""The user's own folder of clips: in the data folder, with the shipped clips to begin with.

It is made at the first change: until then an upgrade may bring better ones. The shipped folder
itself, which may be a checkout's, is never changed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from audio_server.clips.errors import ClipError
from audio_server.clips.folder import clip_files, default_clips, has_clips
from audio_server.files.folders import OpenFolder


def make_own(folder: Path, source: Path | None = None) -> None:
    """Make a folder that has the clips of `source`, or else the shipped ones, whole or not at all;
    one that has clips stays as it is. Raises `ClipError`."""
    if has_clips(folder):
        return
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = Path(mkdtemp(prefix=".clips.", suffix=".part", dir=folder.parent))
        try:
            with OpenFolder(part) as opened:
                for file in clip_files(source or default_clips()):
                    opened.write(file.name, file.path.read_bytes())
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        if not has_clips(folder):  # else another process was faster
            raise ClipError(folder, f"cannot be made ({error.strerror})") from error
