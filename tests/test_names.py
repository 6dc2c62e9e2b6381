"""Names of devices and clips: ordinary ones are accepted, whatever machine they come from."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_server.names import LENGTH_MAX, BadName, clean_name, same_name, shortened

ORDINARY = {
    "Recording at 9.22.20\u202fPM": "Recording at 9.22.20 PM",
    "Titel\u00a0: eins": "Titel : eins",
    "\u3000全角\u3000スペース": "全角 スペース",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u2764\ufe0f": "\u2764\ufe0f",
    "\U0001f3f4\U000e0067\U000e0062\U000e007f": "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "\u0645\u06cc\u200c\u062e": "\u0645\u06cc\u200c\u062e",
    "\u200f\u05e9\u05dc\u05d5\u05dd": "\u200f\u05e9\u05dc\u05d5\u05dd",
    "cafe\u0301": "caf\u00e9",
    "soft\u00adhyphen": "soft\u00adhyphen",
    "\ue000 private": "\ue000 private",
    "  blanks  around\t": "blanks  around",
    "1999": "1999",
    "Kitchen/left": "Kitchen/left",
    "a\\b: *?\"<>|'": "a\\b: *?\"<>|'",
}

REFUSED = [
    *(f"a{chr(code)}b" for code in (*range(0x20), *range(0x7F, 0xA0))),
    *(f"a{char}b" for char in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
    "\ud800",
    "a\udcff",
    "",
    "  ",
    "\u200b",
    "\u00a0\u202f",
    "\ufeff\ufe0f",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_names(text: str) -> None:
    assert clean_name(text) == ORDINARY[text]


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_refused_names(text: str) -> None:
    with pytest.raises(BadName, match=r"^a name has \w+"):
        clean_name(text)


@given(st.text())
def test_a_name_is_clean_once_and_for_all(text: str) -> None:
    try:
        name = clean_name(text)
    except BadName:
        return
    assert clean_name(name) == name
    assert "\n" not in name
    assert name.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_forms_of_a_name_are_equal(text: str) -> None:
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    assert same_name(forms[0]) == same_name(forms[1])


def test_each_kind_of_space_is_a_plain_one() -> None:
    chars = map(chr, range(sys.maxunicode + 1))
    spaces = "".join(char for char in chars if unicodedata.category(char) == "Zs")
    assert same_name(spaces) == " " * len(spaces)


def test_long_text_is_not_composed() -> None:
    """It would take hours: the time grows with the square of the length."""
    text = "a" + "\u0315\u0300\u0327" * 1_000_000
    assert same_name(text) == text
    with pytest.raises(BadName, match=f"a name has at most {LENGTH_MAX} characters"):
        clean_name(text)
    assert shortened(text) == f"{text[:40]}..."
