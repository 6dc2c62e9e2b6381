"""Keys: what each does, and a terminal that is left as it was found."""

from __future__ import annotations

import os
import select
import termios
from contextlib import suppress

import pytest
import trio

from audio_server.process.terminal import next_keys, single_keys
from audio_server.simulator.device import Link, VirtualDevice
from audio_server.simulator.interactive import act_on

ECHO_AND_LINES = termios.ECHO | termios.ICANON


async def test_keys_come_at_once_without_enter(terminal: tuple[int, int]) -> None:
    far, near = terminal
    with single_keys(near):
        for keys in ("m", "p", " ", "mmp"):
            os.write(far, keys.encode())
            assert await next_keys(near) == keys


async def test_arrows_are_no_keys(terminal: tuple[int, int]) -> None:
    far, near = terminal
    with single_keys(near):
        async with trio.open_nursery() as nursery:
            os.write(far, b"\x1b[A")
            nursery.start_soon(_type_when_read, far, near)
            assert await next_keys(near) == "q"


async def test_arrows_are_keys_where_they_have_names(terminal: tuple[int, int]) -> None:
    far, near = terminal
    with single_keys(near):
        os.write(far, b"\x1b[A\x1b[C\x1b[5~\x1bOB")
        assert await next_keys(near, {b"\x1b[A": "k", b"\x1b[5~": "u", b"\x1bOB": "j"}) == "kuj"


async def _type_when_read(far: int, near: int) -> None:
    while select.select([near], [], [], 0)[0]:
        await trio.lowlevel.checkpoint()
    os.write(far, b"q")


def test_the_terminal_is_as_it_was_afterwards(terminal: tuple[int, int]) -> None:
    _, near = terminal
    before = termios.tcgetattr(near)
    with suppress(KeyboardInterrupt), single_keys(near):
        assert not termios.tcgetattr(near)[3] & ECHO_AND_LINES
        raise KeyboardInterrupt
    assert termios.tcgetattr(near) == before


def no_channel() -> None:
    raise AssertionError("nothing connects here")


def device() -> VirtualDevice:
    return VirtualDevice("den", no_channel)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", "1cC2mM3sS4pP ")
def test_each_button_has_its_keys(key: str) -> None:
    subject = device()
    subject.switch_on()
    assert act_on(subject, key)
    assert subject.queued == 1


def test_o_switches_off_and_on() -> None:
    subject = device()
    act_on(subject, "o")
    assert subject.is_on
    act_on(subject, "o")
    assert not subject.is_on
    assert subject.link.value is Link.OFF


def test_connect_switches_on_a_device_that_is_off() -> None:
    subject = device()
    act_on(subject, "c")
    assert subject.is_on
    assert subject.queued == 0


def test_q_quits_and_other_keys_do_nothing() -> None:
    subject = device()
    assert not act_on(subject, "q")
    assert act_on(subject, "x")
    assert (subject.queued, subject.is_on) == (0, False)
