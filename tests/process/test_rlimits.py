"""Room for a connection of each device."""

from __future__ import annotations

import resource

import pytest
from structlog.testing import capture_logs

from audio_server.process import rlimits
from audio_server.process.rlimits import allow_devices, most_connections

INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((1024, 524288), (524288, 524288), False),
        ((1024, INFINITE), (1 << 20, INFINITE), False),
        ((1 << 21, INFINITE), (1 << 21, INFINITE), False),
        ((INFINITE, INFINITE), (INFINITE, INFINITE), False),
        ((1024, 4096), (4096, 4096), True),
    ],
)
def test_as_many_as_there_may_be(before, after, told, monkeypatch) -> None:
    limits = [before]
    monkeypatch.setattr(rlimits.resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(rlimits.resource, "setrlimit", lambda _, new: limits.append(new))
    with capture_logs() as lines:
        allow_devices(10_000)
    assert limits[-1] == after
    assert [line["open_files"] for line in lines] == ([after[0]] if told else [])


def test_a_system_that_refuses_changes_nothing(monkeypatch) -> None:
    def refuse(_: int, new: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(rlimits.resource, "getrlimit", lambda _: (256, INFINITE))
    monkeypatch.setattr(rlimits.resource, "setrlimit", refuse)
    with capture_logs() as lines:
        allow_devices(200)
    assert [line["open_files"] for line in lines] == [256]


@pytest.mark.parametrize(("soft", "expected"), [(1024, 896), (64, 1), (INFINITE, (1 << 20) - 128)])
def test_connections_leave_files_to_all_else(
    monkeypatch: pytest.MonkeyPatch, soft: int, expected: int
) -> None:
    monkeypatch.setattr(rlimits.resource, "getrlimit", lambda _: (soft, INFINITE))
    assert most_connections() == expected
