"""Text from elsewhere, made safe to show; and the one place that prints it."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest
from rich.table import Table
from rich.text import Text

from audio_server.process.output import make_console, say, say_error, say_json, say_traceback
from audio_server.process.printable import printable, printable_lines

UNSAFE = [
    *map(chr, [*range(0x20), *range(0x7F, 0xA0)]),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    *"\u2028\u2029",
    *"\ud800\udbff\udc00\udcff",
]
HOSTILE = "a" + "".join(UNSAFE) + "\x1b]0;title\x07\x1b[2J\x9b31m[bold]b[/bold] :smile:"


def unsafe_in(text: str) -> list[str]:
    """The characters that a terminal would obey; judged without the table of the product."""
    controls = ("Cc", "Cs", "Zl", "Zp")
    return [
        char
        for char in text.replace("\n", "")
        if unicodedata.category(char) in controls
        or unicodedata.bidirectional(char)[:2] in ("LR", "RL", "PD", "FS")
        or char in "\u061c\u200e\u200f\u2066\u2069"
    ]


@pytest.mark.parametrize("char", UNSAFE, ids=lambda char: f"{ord(char):04x}")
def test_each_is_escaped(char: str) -> None:
    shown = printable(f"a{char}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.endswith("b")


@pytest.mark.parametrize(
    "text",
    ["Küche", "教室", "a b", "👩‍👩‍👧", "می‌خواهم", "café", "a\u00a0b", "[bold] :smile:", r"\x1b"],
)
def test_all_else_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_escapes_are_those_that_programmers_know() -> None:
    assert printable("\x1b[2J\r\n\t\x9b\u202e\udcff") == r"\x1b[2J\r\n\t\x9b\u202e\xff"
    assert printable_lines("a\x07\nb") == "a\\x07\nb"


@pytest.mark.parametrize(("print_it", "stream"), [(say, 0), (say_error, 1)])
def test_a_line_stays_one_line(print_it, stream, capsys) -> None:
    print_it(HOSTILE, 7)
    said = capsys.readouterr()
    assert said[1 - stream] == ""
    assert said[stream] == f"{printable(HOSTILE)}\n7\n"
    assert unsafe_in(said[stream]) == []


def test_json_is_what_it_was_and_ascii(capsys) -> None:
    say_json({HOSTILE: [HOSTILE]})
    said = capsys.readouterr().out
    assert said.isascii()
    assert unsafe_in(said) == []
    assert json.loads(said) == json.loads(json.dumps({HOSTILE: [HOSTILE]}))


def test_a_traceback_is_escaped_too(capsys) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        say_traceback(*sys.exc_info())  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):\n  File ")
    assert unsafe_in(said) == []


def test_a_console_takes_text_as_text() -> None:
    console = make_console(file=io.StringIO(), width=2000, color_system=None)
    evil = "\x1b[2J\x9b\u202e[bold]b[/bold] :smile:"
    table = Table(box=None)
    table.add_column(evil)
    table.add_row(evil)
    for shown in (evil, Text(evil), table, HOSTILE, Text(HOSTILE)):
        console.print(shown)
    text = console.file.getvalue()
    assert unsafe_in(text) == []
    assert text.count("[bold]b[") == 6  # the table measured it before it was escaped, and cuts it


def test_a_consoles_own_styles_and_controls_reach_the_terminal() -> None:
    console = make_console(
        file=io.StringIO(), width=40, force_terminal=True, color_system="standard"
    )
    console.show_cursor(False)
    console.print(Text("a\x1b[2Jb", style="red"))
    text = console.file.getvalue()
    assert text.startswith("\x1b[?25l\x1b[31ma\\x1b[2Jb\x1b[0m")
