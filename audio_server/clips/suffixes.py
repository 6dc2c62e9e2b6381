"""Names of files in a folder of clips: which are sound, and which are not complete."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto
from typing import Final

from audio_server.clips.errors import ClipError

_PLAIN_AUDIO = {
    *(".aac", ".ac3", ".adts", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".awb", ".bwf"),
    *(".caf", ".dff", ".dsf", ".dts", ".ec3", ".eac3", ".flac", ".gsm", ".m2a", ".m4a", ".m4b"),
    *(".m4r", ".mka", ".mp1", ".mp2", ".mp3", ".mpa", ".mpc", ".mpga", ".oga", ".ogg", ".opus"),
    *(".ra", ".rf64", ".snd", ".sph", ".spx", ".tak", ".tta", ".voc", ".w64", ".wav", ".wave"),
    *(".weba", ".wma", ".wv"),
}
_WITH_PICTURES = {
    *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".ogv", ".rm", ".webm", ".wmv"),
}

SOUND: Final = frozenset(_PLAIN_AUDIO | _WITH_PICTURES)
"""Suffixes of files that are meant as sound, so that one that cannot be read is an error."""

_TEXT = {".md", ".markdown", ".rst", ".txt", ".html", ".pdf", ".csv", ".log"}
_PICTURES = {".jpg", ".jpeg", ".png", ".gif", ".svg", ".webp"}
_PLAYLISTS = {".cue", ".m3u", ".m3u8", ".pls"}
_SETTINGS = {".toml", ".json", ".yaml", ".yml", ".ini", ".cfg", ".db", ".py", ".sh"}

COMPANIONS: Final = frozenset(_TEXT | _PICTURES | _PLAYLISTS | _SETTINGS)
"""Suffixes of documents, pictures, playlists and settings, which are kept beside sound."""

_DOCUMENTS = {"README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CHANGELOG"}

_BROWSERS = {".crdownload", ".download", ".opdownload", ".part", ".partial"}
_TOOLS = {
    *(".!bt", ".!mv", ".!qb", ".!sync", ".!ut", ".aria2", ".bc!", ".dtapart", ".fdmdownload"),
    *(".filepart", ".incomplete", ".jc!", ".met", ".ob!", ".td", ".temp", ".tmp", ".xltd"),
    *(".ytdl",),
}
_BACKUPS = {".bak", ".bk", ".backup", ".old", ".orig", ".rej", ".sav", ".save", ".swo", ".swp"}

UNFINISHED: Final = frozenset(_BROWSERS | _TOOLS)
"""Suffixes of downloads and copies that are not complete."""

_CONTROL = (".aria2", ".st")
"""Suffixes of files beside a download that has its final name already (aria2, Axel)."""


class Meant(Enum):
    """The purpose of a file, as far as its name tells."""

    SOUND = auto()
    """A clip: if it cannot be read as sound, that is an error."""

    UNKNOWN = auto()
    """A clip if there is sound in it."""

    UNFINISHED = auto()
    """Half a download, or a backup: no clip, even if there is sound in it."""

    COMPANION = auto()
    """A hidden file, a document, a picture: no clip, and no surprise."""


def split_name(name: str) -> tuple[str, str]:
    """Return the stem and the suffix of a file's name, as `pathlib` has them, which takes ten times
    as long: too long where there are thousands of clips."""
    at = name.rfind(".")
    return (name[:at], name[at:]) if 0 < at < len(name) - 1 else (name, "")


def meant_as(name: str) -> Meant:
    """Return the purpose that the name of a file tells."""
    stem, suffix = split_name(name)
    suffix = suffix.lower()
    if name.startswith(".") or suffix in COMPANIONS or name.upper() in _DOCUMENTS:
        return Meant.COMPANION
    is_of_an_editor = name.endswith("~") or (name.startswith("#") and name.endswith("#"))
    if _is_unfinished(stem, suffix) or suffix in _BACKUPS or is_of_an_editor:
        return Meant.UNFINISHED
    return Meant.SOUND if suffix in SOUND else Meant.UNKNOWN


def is_clip_name(name: str) -> bool:
    """Return whether a file of this name may be a clip."""
    return meant_as(name) in (Meant.SOUND, Meant.UNKNOWN)


def _is_unfinished(stem: str, suffix: str) -> bool:
    # yt-dlp writes `song.temp.m4a` and `song.mp4.part-Frag7`.
    is_temporary = split_name(stem)[1].lower() == ".temp"
    return is_temporary or suffix in UNFINISHED or suffix.startswith(".part-frag")


def check_complete(name: str) -> None:
    """Raise `ClipError` for a file that by its name is not complete, or a backup."""
    if meant_as(name) is Meant.UNFINISHED:
        raise ClipError(name, "is not complete by its name, or a backup; rename it if it is a clip")


def is_downloading(name: str, others: Collection[str], *, is_empty: bool) -> bool:
    """Return whether files beside this one say that it is not complete.

    aria2 and Axel write to the final name, with a control file beside it. Firefox makes an empty
    file of that name, with `song.mp3.part` or `song.RANDOM.mp3.part` beside it.
    """
    if any(f"{name}{suffix}" in others for suffix in _CONTROL):
        return True
    return is_empty and any(_is_rest_of(name, other) for other in others)


def _is_rest_of(name: str, other: str) -> bool:
    (stem, suffix), (rest, unfinished) = split_name(name), split_name(other)
    if unfinished.lower() not in UNFINISHED:
        return False
    return rest == name or (rest.startswith(f"{stem}.") and rest.endswith(suffix))
