"""What the files of clips are called: a number that puts them in their place, and a title."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from audio_server.clips.errors import ClipError, NoSuchClip, as_text

NAME_MAX_BYTES = 255
"""As long as a name may be on about every file system."""


def digits_for(clips: int) -> int:
    """How many digits the numbers of so many clips have."""
    return max(2, len(str(clips - 1)))


def title_of(stem: str, digits: int = 2) -> str:
    """A name without the number in front of it; one that is nothing else stays.

    A number has at most so many digits, or begins with 0: 880 hertz are no mode.
    """
    return re.sub(rf"^(\d{{1,{digits}}}|0\d*)[-_ ]+(?=.)", "", stem)


def check_title(title: str) -> None:
    """Raises `ClipError` where a file cannot be called so."""
    if not title or "/" in title or not title.isprintable():
        raise ClipError(repr(title), "is no name for a file")


def find(names: Sequence[str], name: str) -> str:
    """Which of these files is meant: the one of this name, or else without its suffix, or else
    without its number too, if that is one alone.

    Raises `NoSuchClip`, and `ClipError` where it could be one of several.
    """
    digits = digits_for(len(names))
    for called in (str, _stem, partial(_title, digits=digits)):
        found = [file for file in names if as_text(called(file)) == as_text(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ClipError(name, f"is one of several clips: {', '.join(found)}")
    raise NoSuchClip(name, "there is no such clip")


def _stem(name: str) -> str:
    return Path(name).stem


def _title(name: str, digits: int) -> str:
    return title_of(_stem(name), digits)


def last_stem(names: Sequence[str], title: str) -> str:
    """A name without suffix that sorts after all files of these `names`, which are sorted.

    One more than the last number, as wide as it is; where that would not come last (9 is
    followed by 10, or there are no numbers), the last name with `title` behind it.
    """
    if not names:
        return f"00-{title}"
    last = names[-1]
    digits = "".join(re.findall(r"^\d+", last))
    stem = f"{int(digits or -1) + 1:0{len(digits)}}-{title}"
    return stem if f"{stem}.opus" > last else f"{Path(last).stem}_{title}"


def numbered(names: Sequence[str]) -> Mapping[str, str]:
    """New names for the files of these `names`, so that they sort in this order.

    Only names that change are in it, and each is free: it is none of `names`. Two files may have
    the same title, so that one has the name that the other should get; then the title changes.
    Raises `ClipError` for a name that is too long.
    """
    digits = digits_for(len(names))
    taken = set(names)
    renames = {}
    for index, name in enumerate(names):
        new = _numbered(f"{index:0{digits}}-", name, digits, taken)
        if len(os.fsencode(new)) > NAME_MAX_BYTES:
            raise ClipError(name, "has no room for a number in its name")
        if new != name:
            renames[name] = new
    return renames


def _numbered(number: str, name: str, digits: int, taken: set[str]) -> str:
    titles = _titles(_title(name, digits))
    candidates = (f"{number}{title}{Path(name).suffix}" for title in titles)
    return next(new for new in candidates if new == name or new not in taken)


def _titles(title: str) -> Iterator[str]:
    """A title, and what it may be called instead: "note 2", and "note" again after that."""
    yield title
    plain = re.sub(r" \d+$", "", title)
    yield plain
    yield from (f"{plain} {number}" for number in count(2))
