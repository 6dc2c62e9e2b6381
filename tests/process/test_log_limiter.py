"""How many lines of log peers, devices and repeated faults can cause."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import audio_server
from audio_server.process.log_limiter import FaultLimiter, LogLimiter, host_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logged(clock: Clock) -> Iterator[list[Any]]:
    with structlog.testing.capture_logs([FaultLimiter(clock)]) as lines:
        yield lines


log = structlog.get_logger()


def test_few_lines_of_each_source_and_few_in_all() -> None:
    limiter = LogLimiter((2, 1.0), (5, 1.0))
    assert [limiter.take("a", 0.0) for _ in range(3)] == [0, 0, None]
    assert [limiter.take(source, 0.0) for source in "bcdef"] == [1, 0, 0, None, None]
    assert limiter.take("g", 1.0) == 2


def test_made_up_sources_use_no_memory() -> None:
    limiter = LogLimiter((2, 0.0), (5, 0.0))
    for number in range(10_000):
        limiter.take(str(number), 0.0)
    assert len(limiter._each) == 5


def test_a_peer_has_a_rate_whatever_it_does_wrong(logged: list[Any], clock: Clock) -> None:
    for port in range(30):
        log.info("TLS handshake failed", peer=f"192.0.2.1:{50000 + port}")
        log.warning("connection refused", peer="192.0.2.1")
        log.error("request failed", peer="::ffff:192.0.2.1")
    assert len(logged) == 10
    log.info("TLS handshake failed", peer="192.0.2.2:50000")
    assert len(logged) == 11
    clock.now = 10.0
    log.info("request refused", peer="192.0.2.1:50000")
    assert len(logged) == 12
    assert logged[10]["not_logged_before"] == 80


def test_a_crowd_of_peers_has_a_rate(logged: list[Any], clock: Clock) -> None:
    for number in range(1000):
        log.info("request refused", peer=f"10.0.{number // 250}.{number % 250}:4000")
    assert len(logged) == 100
    clock.now = 5.0
    for number in range(1000):
        log.info("request refused", peer=f"10.1.{number // 250}.{number % 250}:4000")
    assert len(logged) == 105


def test_a_devices_faults_have_a_rate_and_its_news_has_none(logged: list[Any]) -> None:
    for _ in range(50):
        log.warning("take failed", device="kitchen")
    assert len(logged) == 10
    for _ in range(50):
        log.info("device connected", device="kitchen")
    assert len(logged) == 60


def test_a_fault_of_ours_that_goes_on_is_told_now_and_then(logged: list[Any]) -> None:
    for _ in range(50):
        log.warning("connection refused", peer="192.0.2.1")
    del logged[:]
    for _ in range(50):
        log.error("outbox failed", exc_info=ValueError())
        log.error("observer failed", exc_info=ValueError())
    assert len(logged) == 20


def test_what_no_peer_causes_is_always_logged(logged: list[Any]) -> None:
    for number in range(300):
        log.info("worker ready", worker=number)
    assert len(logged) == 300


def test_libraries_have_a_rate_of_their_own(clock: Clock) -> None:
    limiter = FaultLimiter(clock)
    records = [logging.makeLogRecord({"name": f"library.{n % 2}"}) for n in range(100)]
    assert sum(map(limiter.filter, records)) == 20
    ours = [logging.makeLogRecord({"name": "audio_server.clips.ingest"}) for _ in range(100)]
    assert sum(map(limiter.filter, ours)) == 100


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:50123", "192.0.2.1"),
        ("2001:db8::5", "2001:db8::5"),
        ("2001:db8::5:50123", "2001:db8::5"),
        ("1:2:3:4:5:6:7:8:9000", "1:2:3:4:5:6:7:8"),
        ("[2001:db8::5]:443", "2001:db8::5"),
        ("local", "local"),
        ("", ""),
    ],
)
def test_the_host_of_a_peer(peer: str, host: str) -> None:
    assert host_of(peer) == host


ROOMS = ("rpc", "service", "web", "identity")
OURS = {
    "a socket could not be heard",  # no connection is at hand; limited as a fault of ours
    "a connection's write buffer failed",
    "connection not accepted",  # files have run out: has a rate of its own
    "pages",
    "pages failed",
    "no pages: the port is taken",
    "files of the pages not reloaded",
    "the operators' token is sent in the clear",
    "browsers have to log in anew after a restart",
    "ended sessions not read: they count again",
    "logout not kept: it counts until a restart",  # of operators alone, where the disk fails
    "stopping",
    "certificates reloaded",
    "certificates not reloaded",
    "certificate expired",
    "certificate expires soon",
    "any peer that reaches the port can be any device",
    "tokens are sent in the clear",
    "tokens read",
    "tokens not read",
}
"""Events of the server itself: no peer can cause them."""


def _log_calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
                yield node


@pytest.mark.parametrize("room", ROOMS)
def test_events_that_peers_cause_name_the_peer(room: str) -> None:
    """Without `peer` or `device` an event would escape the rate."""
    calls = [
        (call.args[0].value, {keyword.arg for keyword in call.keywords})
        for path in (Path(audio_server.__file__).parent / room).rglob("*.py")
        for call in _log_calls(path)
        if isinstance(call.args[0], ast.Constant)
    ]
    assert calls
    named = ({"peer", "device"} & keys for _, keys in calls)
    assert {event for (event, _), name in zip(calls, named, strict=True) if not name} <= OURS
