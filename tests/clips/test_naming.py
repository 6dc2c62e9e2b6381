"""Numbers and titles of clips: a title stays the same, however its clip is numbered."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_server.clips.errors import ClipError, NoSuchClip
from audio_server.clips.naming import (
    Finder,
    clean_title,
    find,
    next_name,
    numbered,
    title_of,
    title_of_file,
    titles_of,
)


@pytest.mark.parametrize(
    ("stem", "title"),
    [
        ("03-bell", "bell"),
        ("3-bell", "bell"),
        ("03 _ bell", "bell"),
        ("03 - bell", "bell"),
        ("007-bell", "bell"),
        ("0100-bell", "bell"),
        ("00--x", "-x"),
        ("00- x", " x"),
        ("00-7 rings", "7 rings"),
        ("00-1999", "1999"),
        ("bell", "bell"),
        ("07", "07"),
        ("07-", "07-"),
        ("1999", "1999"),
        ("7 rings", "7 rings"),
        ("99 Luftballons", "99 Luftballons"),
        ("880-hertz", "880-hertz"),
        ("2024-05-01 Recording", "2024-05-01 Recording"),
        ("0 degrees", "0 degrees"),
        ("\u0661\u0662-bell", "\u0661\u0662-bell"),
    ],
)
def test_titles(stem: str, title: str) -> None:
    assert title_of(stem) == title


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["01 Intro.mp3", "10 Outro.mp3", "7 rings.mp3"], ["Intro", "Outro", "7 rings"]),
        (["098-a.wav", "100-b.wav", "1999-c.wav"], ["a", "b", "1999-c"]),
        (["00-a.wav", "99 Luftballons.wav"], ["a", "99 Luftballons"]),
        (["100-a.wav", "200-b.wav"], ["100-a", "200-b"]),
    ],
)
def test_numbers_are_told_by_those_of_the_same_folder(names: list[str], titles: list[str]) -> None:
    assert titles_of(names) == titles


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("7 rings.mp3", "7 rings"),
        ("1999.mp3", "1999"),
        ("07_new.wav", "new"),
        ("05-bell.opus", "bell"),
        ("Vol. 2", "Vol. 2"),
        ("v1.2", "v1.2"),
        ("a.unknown", "a"),
        ("a.b.flac", "a.b"),
        ("folder/a.wav", "a"),
    ],
)
def test_titles_of_files_that_become_clips(name: str, title: str) -> None:
    assert title_of_file(name) == title


@pytest.mark.parametrize(
    ("title", "kept"),
    [("PM\u202f9", "PM 9"), ("cafe\u0301", "caf\u00e9"), ("\U0001f468\u200d\U0001f469", None)],
)
def test_ordinary_titles(title: str, kept: str | None) -> None:
    assert clean_title(title) == (kept or title)


@pytest.mark.parametrize("title", ["", " ", "a/b", "a\\b", "a\0b", "a\nb", "\u202ea", "\ud800"])
def test_what_is_no_title(title: str) -> None:
    with pytest.raises(ClipError, match="is no name for a file: ") as refused:
        clean_title(title)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "00-new.opus"),
        (["0-a.opus", "4-b.opus"], "5-new.opus"),
        (["04-b.opus"], "05-new.opus"),
        (["09-b.opus"], "10-new.opus"),
        (["0099-b.opus"], "0100-new.opus"),
        (["01 Intro.mp3", "02 Outro.mp3"], "03-new.opus"),
        (["9-b.opus"], None),
        (["99-b.opus"], None),
        (["099-b.opus"], None),
        (["0999-b.opus"], None),
        (["zebra.wav"], None),
        (["1999.mp3"], None),
        (["7 rings.mp3"], "8-new.opus"),
        (["1999-a.wav"], None),
    ],
)
def test_the_next_name(names: list[str], expected: str | None) -> None:
    assert next_name(names, "new") == expected


@pytest.mark.parametrize(
    ("clips", "first", "last"),
    [(10, "00-", "09-"), (100, "00-", "99-"), (101, "0000-", "0100-"), (1001, "00000-", "01000-")],
)
def test_numbers_widen(clips: int, first: str, last: str) -> None:
    names = numbered(["7 rings"] * clips, [".mp3"] * clips)
    assert (names[0], names[-1]) == (f"{first}7 rings.mp3", f"{last}7 rings.mp3")
    assert names == sorted(names)
    assert [title_of(name[:-4]) for name in names] == ["7 rings"] * clips


titles = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
suffixes = st.sampled_from(["", ".wav", ".opus"])


@given(st.lists(st.tuples(titles, suffixes), min_size=1, max_size=120))
def test_numbering_keeps_every_title(clips: list[tuple[str, str]]) -> None:
    clips = [(title.replace(".", "") or "x", suffix) for title, suffix in clips]
    names = numbered([title for title, _ in clips], [s for _, s in clips], max_bytes=10_000)
    assert names == sorted(names)
    assert titles_of(names) == [title for title, _ in clips]


def test_names_that_other_files_have_are_not_given() -> None:
    assert numbered(["a"], [".wav"], others=["00-a.wav"]) == ["000-a.wav"]
    others = [f"{'0' * digits}-a.wav" for digits in range(2, 6)]
    with pytest.raises(ClipError, match=r"00-a\.wav: is the name that a clip should get"):
        numbered(["a"], [".wav"], others=others)


def test_a_clip_is_found_by_file_name_or_title() -> None:
    names = ["00-a.opus", "01-b.opus", "01-b.wav", "02-00-a.opus"]
    assert [find(names, name) for name in ("00-a.opus", "00-a", "a")] == [*["00-a.opus"] * 3]
    with pytest.raises(ClipError, match=r"^01-b: is one of several clips: 01-b.opus, 01-b.wav$"):
        find(names, "01-b")
    with pytest.raises(NoSuchClip, match=r"^c: there is no such clip$"):
        find(names, "c")


def test_composed_and_decomposed_names_are_equal() -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    for kept in (composed, decomposed):
        for asked in (composed, decomposed, f"00-{composed}", f"00-{decomposed}.wav"):
            assert find([f"00-{kept}.wav"], asked) == f"00-{kept}.wav"
    both = [f"{composed}.wav", f"{decomposed}.wav"]
    assert [find(both, name) for name in both] == both
    assert [find(both, name[:-4]) for name in both] == both


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u3000"])
def test_a_clip_is_found_by_the_name_that_its_file_had(space: str) -> None:
    """A title is kept with plain spaces; files that are put into the folder have their own."""
    name = f"9.22{space}PM"
    kept = clean_title(name)
    assert find([f"00-{kept}.opus"], name) == f"00-{kept}.opus"
    assert find([f"00-{name}.wav"], kept) == f"00-{name}.wav"
    both = [f"00-{kept}.opus", f"01-{name}.opus"]
    assert [find(both, kept), find(both, name)] == both


def test_an_error_names_only_some_of_many() -> None:
    names = [f"{number:02}-a.wav" for number in range(50)]
    with pytest.raises(ClipError, match=r"00-a\.wav, .*04-a\.wav and 45 more$"):
        Finder(names).find("a")


def test_an_error_shows_no_more_of_a_long_name_than_it_must() -> None:
    name = "a" + "\u0315\u0300\u0327" * 1_000_000
    for act in (lambda: find(["00-a.wav"], name), lambda: clean_title(name)):
        with pytest.raises(ClipError) as refused:
            act()
        assert len(str(refused.value)) < 200
