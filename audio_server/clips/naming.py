"""Names of clips' files: a number that puts a clip in its place, a title, and a suffix.

A number stands in front of the title: `05-bell.opus`. Only these are numbers, so that titles such
as "7 rings", "1999" or "880-hertz" stay whole:

- one or two digits and a hyphen, or any digits with a 0 in front and a hyphen;
- digits with a 0 in front and blanks, as ripped tracks have them: `01 Intro.mp3`;
- as many digits as such numbers of the same folder, with the same separator: `10 Outro.mp3`.

Numbers that are given here are told from a title without knowing the folder.
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from audio_server.clips.errors import ClipError, NoSuchClip, as_text
from audio_server.clips.suffixes import Meant, meant_as, split_name
from audio_server.files.folders import NAME_MAX_BYTES
from audio_server.names import BadName, clean_name, same_name, shortened

_NUMBER = re.compile(r"([0-9]+)(-|[ _]+(?:-[ _]*)?)(?=.)", re.DOTALL)

_SUFFIX = re.compile(r"\.(?=[0-9]*[A-Za-z])[0-9A-Za-z]{1,10}")

_SHOWN_MAX = 5
"""How many clips an error names."""

_WIDER_MAX = 3
"""How many digits more may be tried where other files have the names that clips should get."""

Width = tuple[bool, int]
"""Whether a number is followed by a hyphen, and how many digits it has."""


def digits_for(clips: int) -> int:
    """Return how many digits the numbers of so many clips have: two for the first hundred, and
    beyond that one more than needed, so that all of them begin with a 0."""
    return 2 if clips <= 100 else len(str(clips - 1)) + 1


def title_of_file(name: str) -> str:
    """Return the title for a clip that is made of a file of this name: without folders, suffix and
    number. Only letters and digits make a suffix, and one letter at least: "Vol. 2" stays whole."""
    name = name.rpartition("/")[2]
    stem, suffix = split_name(name)
    has_suffix = meant_as(name) is Meant.SOUND or _SUFFIX.fullmatch(suffix)
    return title_of(stem if has_suffix else name)


def widths_in(stems: Iterable[str]) -> frozenset[Width]:
    """Return which numbers of more digits count among these names."""
    found = (_NUMBER.match(stem) for stem in stems)
    return frozenset(_width(match) for match in found if match and _is_certain(match))


def title_of(stem: str, widths: AbstractSet[Width] = frozenset()) -> str:
    """Return a name without its number. One that is nothing but a number stays."""
    match = _NUMBER.match(stem)
    return stem[match.end() :] if match and _is_number(match, widths) else stem


def titles_of(names: Iterable[str]) -> list[str]:
    """Return the titles of the files of one folder, in the order of `names`."""
    stems = [split_name(name)[0] for name in names]
    widths = widths_in(stems)
    return [title_of(stem, widths) for stem in stems]


def _is_certain(match: re.Match[str]) -> bool:
    has_hyphen, digits = _width(match)
    return match[1].startswith("0") and (has_hyphen or digits > 1)


def _is_number(match: re.Match[str], widths: AbstractSet[Width]) -> bool:
    has_hyphen, digits = width = _width(match)
    return (has_hyphen and digits <= 2) or _is_certain(match) or width in widths


def _width(match: re.Match[str]) -> Width:
    return match[2] == "-", len(match[1])


def clean_title(title: str) -> str:
    """Return a title as it is kept. Raises `ClipError` where no file can be called so."""
    try:
        name = clean_name(title)
    except BadName as error:
        raise ClipError(repr(shortened(title)), f"is no name for a file: {error}") from error
    if "/" in name or "\\" in name:
        raise ClipError(repr(shortened(title)), "is no name for a file: it separates folders")
    check_locale(name)
    return name


def check_locale(name: str) -> None:
    """Raise `ClipError` for a name that files cannot have in the locale of this process."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        locale = f"the server's locale ({sys.getfilesystemencoding()})"
        reason = f"{locale} has no such characters for files; start it with LC_ALL=C.UTF-8"
        raise ClipError(name, reason) from error


def check_length(name: str, max_bytes: int) -> None:
    """Raise `ClipError` for the name of a file that the file system has no room for."""
    size = len(os.fsencode(name))
    if size > max_bytes:
        reason = f"File name too long: {size} bytes, and the file system takes {max_bytes}"
        raise ClipError(shortened(name), reason)


# -- finding


class Finder:
    """Finds clips among the files of one folder by name, in constant time for each."""

    def __init__(self, names: Sequence[str]) -> None:
        stems = [split_name(name)[0] for name in names]
        self._levels = [_groups(called, names) for called in (names, stems, titles_of(names))]

    def find(self, name: str) -> str:
        """Return the file that is meant: the one of this name, else of this name without suffix,
        else of this title, if it is one alone. Composed and decomposed names are equal.

        Raises `NoSuchClip`, and `ClipError` where it could be one of several.
        """
        name = as_text(name)
        key = same_name(name)
        found = next((level[key] for level in self._levels if key in level), None)
        if found is None:
            raise NoSuchClip(_asked(name), "there is no such clip")
        exact = [file for called, file in found if called == name]
        files = exact if len(exact) == 1 else [file for _, file in found]
        if len(files) > 1:
            raise ClipError(_asked(name), f"is one of several clips: {_some(files)}")
        return files[0]


def mode_called(asked: str, stems: Sequence[str]) -> int | None:
    """Return the index of the first clip of that name, else of that title, among clips of any
    folder, which are given without suffixes; None for a clip that is not there."""
    if asked in stems:
        return stems.index(asked)
    title, *titles = titles_of(f"{stem}.opus" for stem in (asked, *stems))
    return titles.index(title) if title in titles else None


def _asked(name: str) -> str:
    return name if len(name) <= NAME_MAX_BYTES else shortened(name)


def find(names: Sequence[str], name: str) -> str:
    """Return which of these files is meant, as `Finder.find` does."""
    return Finder(names).find(name)


def _groups(called: Iterable[str], files: Iterable[str]) -> Mapping[str, list[tuple[str, str]]]:
    groups = defaultdict(list)
    for text, file in zip(map(as_text, called), files, strict=True):
        groups[same_name(text)].append((text, file))
    return dict(groups)


def _some(files: Sequence[str]) -> str:
    more = len(files) - _SHOWN_MAX
    return ", ".join(files[:_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")


# -- numbering


def next_name(names: Sequence[str], title: str) -> str | None:
    """Return a name for one more clip that sorts after `names`, which are sorted: one more than
    the last number, as wide as that.

    None where that would not come last (9 is followed by 10), where a title would change by it, or
    where the folder would have to be known to tell the number from a title. Then all have to be
    numbered.
    """
    if not names:
        return f"{0:0{digits_for(1)}}-{title}.opus"
    match = _NUMBER.match(names[-1])
    if match is None:
        return None
    stem = f"{int(match[1]) + 1:0{len(match[1])}}-{title}"
    name = f"{stem}.opus"
    if name < names[-1] or title_of(stem) != title:
        return None
    return name if titles_of([*names, name]) == [*titles_of(names), title] else None


def numbered(
    titles: Sequence[str],
    suffixes: Sequence[str],
    *,
    others: Collection[str] = (),
    max_bytes: int = NAME_MAX_BYTES,
) -> list[str]:
    """Return names for files of these titles and suffixes, so that they sort in this order.

    None of them is one of `others`, the other entries of the folder. Raises `ClipError` for a name
    of more than `max_bytes`.
    """
    least = digits_for(len(titles))
    for digits in range(least, least + _WIDER_MAX + 1):
        names = [
            f"{index:0{digits}}-{title}{suffix}"
            for index, (title, suffix) in enumerate(zip(titles, suffixes, strict=True))
        ]
        taken = set(names).intersection(others)
        if not taken:
            for name in names:
                check_length(name, max_bytes)
            return names
    raise ClipError(min(taken), "is the name that a clip should get; rename or remove this file")
