"""A server follows the file of tokens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
import trio.testing

from audio_server.identity.token_reloader import LOOK_S, TokenReloader
from audio_server.identity.tokens import TokenError, enroll, revoke


class Seen:
    """The tokens of a watch, as they were replaced."""

    def __init__(self, watch: TokenReloader) -> None:
        self.devices: list[list[str]] = []
        self._changed = trio.Event()
        watch.tokens.use = self.use  # type: ignore[method-assign]

    def use(self, enrolments) -> None:
        self.devices.append(list(enrolments))
        self._changed.set()

    async def wait_changed(self) -> list[str]:
        await self._changed.wait()
        self._changed = trio.Event()
        return self.devices[-1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


async def test_changes_are_seen_within_a_second(path, autojump_clock, nursery) -> None:
    enroll(path, "kitchen")
    watch = TokenReloader(path)
    seen = Seen(watch)
    nursery.start_soon(watch.run)
    for change, devices in [
        (lambda: enroll(path, "hall"), ["hall", "kitchen"]),
        (lambda: revoke(path, "kitchen"), ["hall"]),
        (path.unlink, []),
        (lambda: enroll(path, "hall"), ["hall"]),
    ]:
        await trio.testing.wait_all_tasks_blocked()
        change()
        changed_at = trio.current_time()
        assert await seen.wait_changed() == devices
        # A thread reads, and meanwhile the clock jumps on.
        assert trio.current_time() - changed_at <= 2 * LOOK_S


async def test_a_file_that_stays_is_read_once(path, autojump_clock, nursery) -> None:
    enroll(path, "kitchen")
    watch = TokenReloader(path)
    seen = Seen(watch)
    nursery.start_soon(watch.run)
    await trio.sleep(10 * LOOK_S)
    assert seen.devices == []


def make_garbage(path: Path) -> None:
    path.write_text("garbage")


def make_nested(path: Path) -> None:
    path.write_text("[" * 200_000)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("make_bad", [make_garbage, make_nested, make_pipe, make_folder])
async def test_a_broken_file_changes_nothing(
    make_bad, path, autojump_clock, nursery, logged
) -> None:
    enroll(path, "kitchen")
    watch = TokenReloader(path)
    seen = Seen(watch)
    nursery.start_soon(watch.run)
    await trio.sleep(0.5 * LOOK_S)
    make_bad(path)
    while not logged:  # noqa: ASYNC110
        await trio.sleep(LOOK_S)
    await trio.sleep(5 * LOOK_S)
    assert [entry["event"] for entry in logged] == ["tokens not read"]
    assert seen.devices == []


def test_a_broken_file_at_the_start(path) -> None:
    path.write_text("garbage")
    with pytest.raises(TokenError):
        TokenReloader(path)
