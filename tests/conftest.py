"""What every test gets: proof that no asyncio loop is ever made; and who goes first."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog

hypothesis.settings.register_profile("patient", deadline=None)  # a deadline judges the machine
hypothesis.settings.load_profile("patient")

SLOW = ("docs", "web", "workers", "identity", "faults", "interop", "state", "benchmarks", "cli")
"""Folders whose tests wait for browsers and processes: begun first, they end while others run."""

PUNCTUAL = (
    "faults/test_faults.py",
    "faults/test_lossy_road.py",
    "faults/test_soak.py",
    "interop/test_fleet.py",
    "interop/test_proxies.py",
    "service/test_behind_proxies.py",
    "web/test_many_tabs.py",
)
"""Where devices judge a server by the clock on the wall. Beside other tests, on a machine that has
few cores, they would judge the machine: `-m punctual` runs them alone."""


@pytest.fixture(autouse=True)
def no_asyncio_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product is trio's alone; grpclib must never bring a loop of its own."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("an asyncio loop was asked for")

    for name in ("get_event_loop", "new_event_loop", "get_running_loop", "run"):
        monkeypatch.setattr(asyncio, name, refuse)


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep settings of the machine, and its `./clips`, out of a test."""
    for variable in os.environ:
        if variable.startswith("AUDIO_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """The events that are logged during a test."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def logs_as_they_were() -> Iterator[None]:
    """Undo the configuration of logs by a command, whose process here is that of the tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def pytest_configure() -> None:
    """Have programs of the tests obey SIGINT, which a shell has its background jobs ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are cores, as half of the time is waiting; `pytest -n auto` asks."""
    return min(2 * len(os.sched_getaffinity(0)), 8)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is judged by the clock; put what is slow first where files go to processes."""
    for item in items:
        if _place(item.path).startswith(PUNCTUAL):
            item.add_marker("punctual")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> int:
    folder = _place(path).partition("/")[0]
    return SLOW.index(folder) if folder in SLOW else len(SLOW)


def _place(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).as_posix()
