"""SIGHUP: what is read anew is read anew, and a terminal that has gone is the end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from audio_server.process.sighup import put_off_hangups, reload_on_hangup


async def test_each_hangup_reloads_when_the_one_before_has(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = 0
    go_on = trio.Event()

    async def reload() -> None:
        nonlocal begun
        begun += 1
        await go_on.wait()

    stop = trio.Event()
    async with reload_on_hangup(reload, stop):
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
            await wait_all_tasks_blocked()
        assert begun == 1
        go_on.set()
        await wait_all_tasks_blocked()
        assert begun == 2  # the second and the third are one
    assert not stop.is_set()


async def test_hangups_are_put_off_until_somebody_hears_them() -> None:
    reloads = 0

    async def reload() -> None:
        nonlocal reloads
        reloads += 1
        await trio.lowlevel.checkpoint()

    until = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(put_off_hangups, until)
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
            await wait_all_tasks_blocked()
        async with reload_on_hangup(reload, trio.Event()):
            await wait_all_tasks_blocked()
            assert reloads == 0
            until.set()
            await wait_all_tasks_blocked()
            assert reloads == 1  # two that wait are one
        signal.raise_signal(signal.SIGHUP)  # nobody hears this, and it ends nobody
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert reloads == 1


@pytest.mark.parametrize("hangups", [1, 2])
async def test_hangups_that_are_put_off_do_not_end_who_is_cancelled(hangups: int) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(put_off_hangups, trio.Event())
        for _ in range(hangups):
            signal.raise_signal(signal.SIGHUP)
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


PROGRAM = """
import os, signal, sys, trio
from audio_server.process.sighup import reload_on_hangup

async def reload():
    print("reload", flush=True)

async def main():
    stop = trio.Event()
    async with reload_on_hangup(reload, stop):
        print("there", flush=True)
        await stop.wait()
        print("stop", flush=True)

if int(sys.argv[1]):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
said = os.dup(1)
os.login_tty(int(sys.argv[2]))
os.dup2(said, 1)
os.dup2(said, 2)
trio.run(main)
"""


@pytest.mark.parametrize(("outlives", "then"), [(False, "stop"), (True, "reload")])
def test_a_server_ends_with_its_terminal_unless_told_to_stay(outlives: bool, then: str) -> None:
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, str(int(outlives)), str(theirs)]
    with subprocess.Popen(command, pass_fds=[theirs], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            os.close(theirs)
            assert process.stdout.readline() == "there\n"
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline() == "reload\n"
            os.close(terminal)
            heard = process.stdout.readline()
            if not outlives:
                assert "the terminal is gone" in heard
                heard = process.stdout.readline()
            assert heard == f"{then}\n"
        finally:
            process.kill()


async def test_an_error_at_once_is_the_only_one() -> None:
    async def reload() -> None:
        raise AssertionError

    with pytest.raises(BaseExceptionGroup) as raised:
        async with reload_on_hangup(reload, trio.Event()):
            raise OSError("an address that cannot be used")
    assert [type(each) for each in raised.value.exceptions] == [OSError]
