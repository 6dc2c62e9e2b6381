"""The face of a device, as text and as a picture."""

from __future__ import annotations

import io
import re

import pytest
from opus_sound import take, tone
from rich.console import Console

from audio_server.simulator.buttons import Button
from audio_server.simulator.device import Link, VirtualDevice
from audio_server.simulator.events import (
    Call,
    CallLost,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
    ReadingPaused,
    RequestUnclear,
)
from audio_server.simulator.oracle import Oracle
from audio_server.simulator.screen import KEYS, Screen, picture, shade
from audio_server.simulator.verdict import Limits
from audio_server.simulator.widgets import Widgets

LIT = (0xFFFFFFFF, 0x00FF00FF, 0, 0xFF000080, 0, 0)
TOOK = EventSent(Button.PLAY)


def nobody() -> None:
    raise AssertionError("a face never connects")


def face_after(*happened: tuple[float, Event], link: Link = Link.ONLINE) -> Widgets:
    device = VirtualDevice("kitchen", nobody)  # type: ignore[arg-type]
    device.link.value = link
    oracle = Oracle(Limits())
    face = Widgets(device, "host:50051", oracle)
    for at_s, what in happened:
        oracle.feed(at_s, what)
        face(at_s, what)
    return face


def shown(
    face: Widgets, at_s: float = 10.0, *, size: tuple[int, int] = (80, 24), colour: bool = False
) -> str:
    console = Console(
        file=io.StringIO(), width=size[0], height=size[1], force_terminal=True,
        color_system="truecolor" if colour else None, no_color=not colour, legacy_windows=False,
    )  # fmt: skip
    with console.capture() as capture:
        console.print(Screen(face, at_s, 0.0))
    return capture.get()


def lines(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


@pytest.mark.parametrize("size", [(80, 24), (100, 40), (60, 16), (30, 10)])
def test_it_fills_the_terminal_and_no_more(size: tuple[int, int]) -> None:
    talk = [(float(n), Disconnected("x" * 200)) for n in range(50)]
    found = lines(shown(face_after(*talk), size=size))
    assert len(found) == size[1]
    assert {len(line) for line in found} == {size[0]}


def test_it_says_who_where_and_how() -> None:
    text = shown(face_after())
    assert "audio-device kitchen" in text
    assert "connected to host:50051" in text
    assert KEYS in text


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (Link.OFF, "off"),
        (Link.CONNECTING, "connecting to host:50051"),
        (Link.WAITING, "looking for host:50051"),
    ],
)
def test_it_says_how_far_the_connection_is(link: Link, words: str) -> None:
    assert f"  {words} " in lines(shown(face_after(link=link)))[1]


def test_leds_are_signs_and_colours() -> None:
    text = shown(face_after((1.0, LedsSet(LIT))), colour=True)
    assert [re.sub("[^●■◆▲○□◇△]", "", line) for line in lines(text)][4] == "●●□◆△○"
    assert "38;2;255;255;255" in text
    assert "38;2;0;255;0" in text
    assert "38;2;128;0;0" in text


def test_without_colour_there_is_none() -> None:
    text = shown(face_after((1.0, LedsSet(LIT))))
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", text)
    assert "00ff00" in text


def test_a_device_that_is_off_is_dark() -> None:
    text = shown(face_after((1.0, LedsSet(LIT)), link=Link.OFF))
    assert re.sub("[^●■◆▲○□◇△]", "", lines(text)[4]) == "○○□◇△○"


@pytest.mark.parametrize(
    ("led", "colour"), [(0x10203040, (4, 8, 12)), (0xFFFFFF00, (0, 0, 0)), (None, (0, 0, 0))]
)
def test_intensity_dims(led: int | None, colour: tuple[int, int, int]) -> None:
    assert shade(led) == colour


def test_sound_shows_position_lead_and_level() -> None:
    sound = [(9.5, packet) for packet in take(tone(100))]
    text = shown(face_after((9.0, TOOK), (9.001, EventAcked(True)), *sound), 10.25)
    assert "▶ 0:00.7   1250 ms ahead" in text
    assert "████" in text
    assert "■ quiet" in shown(face_after(*sound), 12.0)


def test_a_take_without_sound_is_waited_for() -> None:
    face = face_after((1.0, PacketReceived(True, False, tone(1)[0])))
    assert "waiting for sound" in shown(face)


def test_the_log_says_what_happens() -> None:
    face = face_after(
        (1.0, ConnectFailed("refused")),
        (2.0, Connected()),
        (2.1, TOOK),
        (2.1015, EventAcked(True)),
        (2.2, EventSent(Button.NONE)),
        (2.201, EventAcked(False)),
        (2.3, ReadingPaused()),
        (2.4, CallLost(Call.STATUS, "INTERNAL")),
        (2.5, RequestUnclear()),
    )
    text = shown(face, size=(80, 40))
    for words in (
        "1.00  cannot connect: refused",
        "2.00  connected",
        "2.10  Play: acknowledged after 1.5 ms",
        "an event that says nothing: acknowledged: no after 1.0 ms",
        "stopped reading audio",
        "StatusStream ended: INTERNAL",
        "broken: the server ended StatusStream: INTERNAL",
    ):
        assert words in text


def test_own_lines_and_the_newest_are_shown() -> None:
    face = face_after(*((float(n), Disconnected(f"reason {n}")) for n in range(30)))
    text = shown(face)
    assert "reason 29" in text
    assert "reason 3 " not in text


def test_a_picture_is_an_svg_of_it() -> None:
    svg = picture(face_after((1.0, LedsSet(LIT))), 2.0, 0.0)
    assert svg.startswith("<svg")
    assert "kitchen" in svg
    assert "#00ff00" in svg
