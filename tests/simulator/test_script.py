"""Scripts: what can be said, and one clear line for what cannot."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.errors import ScriptError
from audio_server.simulator.script import HELP, Step, parse_script


def test_a_script_is_its_words_in_order() -> None:
    assert parse_script("connect mode  play wait:2.5 stop") == [
        Step("connect"),
        Step("press", button=Button.MODE),
        Step("press", button=Button.PLAY),
        Step("wait", seconds=2.5),
        Step("press", button=Button.STOP),
    ]


def test_buttons_can_be_held_and_let_go() -> None:
    assert parse_script("on hold:connect release:play unset")[1:] == [
        Step("press", button=Button.CONNECT, action=Action.HOLD),
        Step("press", button=Button.PLAY, action=Action.RELEASE),
        Step("unset"),
    ]


def test_every_step_of_the_help_is_one() -> None:
    words = [
        word for line in HELP.splitlines() if not line.startswith(" ") for word in line[:16].split()
    ]
    samples = {"SECONDS": "1", "BUTTON": "play", "FILE": "x.svg"}
    for word in words:
        name, _, kind = word.partition(":")
        parse_script(f"on {name}:{samples[kind]}" if kind else f"on {name}")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("connect jump", "there is no step 'jump'"),
        ("connect Play", "there is no step 'Play'"),
        ("connect wait", "needs seconds"),
        ("connect wait:", "needs seconds"),
        ("connect wait:soon", "no number of seconds"),
        ("connect wait:-1", "no number of seconds"),
        ("connect wait:nan", "no number of seconds"),
        ("connect wait:inf", "no number of seconds"),
        ("connect hold:power", "needs a button"),
        ("connect play:2", "takes no value"),
        ("connect picture", "needs a file"),
        ("mode play", "begin with connect"),
        ("", "begin with connect"),
    ],
)
def test_what_cannot_be_run_is_named(script: str, complaint: str) -> None:
    with pytest.raises(ScriptError, match=complaint) as caught:
        parse_script(script)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_other_text_is_refused_or_run_never_a_crash(text: str) -> None:
    with suppress(ScriptError):
        assert parse_script(f"connect {text}")[0] == Step("connect")
