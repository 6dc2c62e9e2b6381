"""Changes of a list of clips that is no folder. Each numbers all files anew, by their modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipError, as_text
from audio_server.clips.naming import check_length, numbered, titles_of
from audio_server.clips.naming import find as find_name
from audio_server.clips.suffixes import check_complete, split_name
from audio_server.files.folders import NAME_MAX_BYTES

EACH_ONCE = "an order has each clip that is there, once"
ONLY_ONE = "is the only clip, and one has to stay"


@dataclass(frozen=True, slots=True)
class Listed:
    """A clip, the name that its file has or would have, and the hash of its frames."""

    file: str
    sha: str
    clip: Clip


def added(clips: Sequence[Listed], title: str, sha: str, clip: Clip) -> list[Listed]:
    """Return the clips with one more, which comes last. Raises `ClipError` as all of these."""
    check_title(title)
    return _numbered([*clips, Listed("", sha, clip)], [*_titles(clips), title])


def replaced(clips: Sequence[Listed], name: str, sha: str, clip: Clip) -> list[Listed]:
    """Return the clips with other sound for one, whose mode and title stay."""
    at = index_of(clips, name)
    return _numbered([*clips[:at], Listed("", sha, clip), *clips[at + 1 :]], _titles(clips))


def renamed(clips: Sequence[Listed], name: str, title: str) -> list[Listed]:
    """Return the clips with another title for one."""
    check_title(title)
    titles = _titles(clips)
    titles[index_of(clips, name)] = title
    return _numbered(clips, titles)


def removed(clips: Sequence[Listed], name: str) -> list[Listed]:
    """Return the clips without one of them; the last one stays."""
    at, rest, titles = index_of(clips, name), list(clips), _titles(clips)
    if len(rest) == 1:
        raise ClipError(name, ONLY_ONE)
    del rest[at], titles[at]
    return _numbered(rest, titles)


def reordered(clips: Sequence[Listed], names: Sequence[str]) -> list[Listed]:
    """Return the clips in another order, which names each once."""
    indices = [index_of(clips, name) for name in names]
    if sorted(indices) != list(range(len(clips))):
        raise ClipError("clips", EACH_ONCE)
    titles = _titles(clips)
    return _numbered([clips[at] for at in indices], [titles[at] for at in indices])


def check_title(title: str) -> None:
    """Raise `ClipError` for a title that no clip can have."""
    check_complete(f"00-{title}.opus")
    check_length(f"00-{title}.opus", NAME_MAX_BYTES)


def index_of(clips: Sequence[Listed], name: str) -> int:
    """Return the mode of the clip of that file, name or title. Raises the errors of `find`."""
    files = [one.file for one in clips]
    return files.index(find_name(files, name))


def named(clip: Clip, file: str) -> Clip:
    """Return a clip that is called as its file is, without the suffix."""
    return clip.called(as_text(split_name(file)[0]))


def _titles(clips: Sequence[Listed]) -> list[str]:
    return titles_of(one.file for one in clips)


def _numbered(clips: Sequence[Listed], titles: Sequence[str]) -> list[Listed]:
    suffixes = [split_name(one.file)[1] if one.file else ".opus" for one in clips]
    files = numbered(titles, suffixes)
    return [
        replace(one, file=file, clip=named(one.clip, file))
        for one, file in zip(clips, files, strict=True)
    ]
