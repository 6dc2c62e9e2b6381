"""Keys: what each does, and a terminal that is left as it was found."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator
from contextlib import suppress

import pytest
import trio

from audio_server.virtual.device import Link, VirtualDevice
from audio_server.virtual.interactive import act_on
from audio_server.virtual.keys import read_keys, single_keys

ECHO_AND_LINES = termios.ECHO | termios.ICANON


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The far and the near end of a terminal."""
    far, near = pty.openpty()
    yield far, near
    os.close(near)
    os.close(far)


async def typed(terminal: tuple[int, int], *chunks: bytes) -> str:
    """What is read when these arrive one after the other, the last being x."""
    far, near = terminal
    found = ""
    with single_keys(near):
        keys = read_keys(near)
        for chunk in (*chunks, b"x"):
            os.write(far, chunk)
            await trio.testing.wait_all_tasks_blocked()
            found += await anext(keys) if chunk[:1] != b"\x1b" else ""
        await keys.aclose()  # type: ignore[attr-defined]
    return found


async def test_keys_come_one_at_a_time_without_enter(terminal: tuple[int, int]) -> None:
    assert await typed(terminal, b"m", b"p", b" ") == "mp x"


async def test_keys_typed_at_once_all_count(terminal: tuple[int, int]) -> None:
    far, near = terminal
    with single_keys(near):
        os.write(far, b"mmp")
        keys = read_keys(near)
        assert [await anext(keys) for _ in range(3)] == ["m", "m", "p"]
        await keys.aclose()  # type: ignore[attr-defined]


async def test_arrows_are_no_keys(terminal: tuple[int, int]) -> None:
    far, near = terminal
    with single_keys(near):
        keys = read_keys(near)
        os.write(far, b"\x1b[A")
        with trio.move_on_after(0.01):
            await anext(keys)
            pytest.fail("an arrow was read as a key")


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
