"""Which files of a folder are clips, and in which order."""

from __future__ import annotations

from pathlib import Path

from audio_server.clips.errors import ClipError

_TEXT = {".md", ".markdown", ".rst", ".txt", ".html", ".pdf", ".csv", ".log"}
_PICTURES = {".jpg", ".jpeg", ".png", ".gif", ".svg", ".webp"}
_PLAYLISTS = {".cue", ".m3u", ".m3u8", ".pls"}
_SETTINGS = {".toml", ".json", ".yaml", ".yml", ".ini", ".cfg", ".db", ".py", ".sh"}
_UNFINISHED = {".part", ".tmp", ".bak"}

NOT_SOUND = frozenset(_TEXT | _PICTURES | _PLAYLISTS | _SETTINGS | _UNFINISHED)
"""Suffixes of what people keep beside their sound; see `is_clip_name`."""

_DOCUMENTS = {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CHANGELOG"}


def is_clip_name(name: str) -> bool:
    """Whether a file of this name in a folder of clips is meant as a clip.

    Everything is, except hidden files, backups (`name~`), documents without a suffix such
    as README, and suffixes that say text, picture, playlist or half a download
    (`NOT_SOUND`). So a sound file that cannot be read is an error that names it, whatever
    its format, and never a clip that is missing.
    """
    path = Path(name)
    if name.startswith(".") or name.endswith("~"):
        return False
    return path.suffix.lower() not in NOT_SOUND and path.name.upper() not in _DOCUMENTS


def clip_files(folder: Path) -> list[Path]:
    """The clips of a folder by file name: the first one is mode 0, the next mode 1, ...

    Plain order of characters, as in `LC_ALL=C ls`: 10 comes before 2, so number them 02, 10.
    Only regular files count (links to them too), not what is in folders inside.
    Raises `ClipError` where the folder cannot be read or holds no clip.
    """
    try:
        files = find_clips(folder)
    except OSError as error:
        raise ClipError(folder, f"no folder of clips ({error.strerror})") from error
    if not files:
        raise ClipError(folder, "has no clips in it")
    return files


def find_clips(folder: Path) -> list[Path]:
    """The same, and an empty list where there are none. Raises `OSError`."""
    entries = [entry for entry in sorted(folder.iterdir()) if is_clip_name(entry.name)]
    # A dangling link is a clip that somebody misses: it is kept, and fails by its name.
    return [entry for entry in entries if entry.is_file() or not entry.exists()]


def default_clips() -> Path:
    """The folder of the clips that come with the server: in the package, or in the checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_clips"
    return installed if installed.is_dir() else package.parent / "clips"
