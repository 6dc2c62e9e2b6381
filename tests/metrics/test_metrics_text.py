"""What is counted, where it lies and how it is written down."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest
import trio
from grpclib.const import Status
from read_metrics import Read, complaints

from audio_server.device.instrumentation import LedFault, Outcome
from audio_server.metrics import families as of
from audio_server.metrics import process
from audio_server.metrics.family import Family, Reading
from audio_server.metrics.lag import EVERY_S, watch_lag
from audio_server.metrics.metrics import Metrics
from audio_server.metrics.process import is_alive, usage
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.metrics.text import render
from audio_server.rpc.instrumentation import Instrumentation as RpcMeter

AUDIO = "com.opalcamera.test.DeviceService/ServerAudioStream"


@pytest.fixture
def shared_registry() -> SharedRegistry:
    return SharedRegistry()


@pytest.fixture
def metrics(shared_registry: SharedRegistry) -> Metrics:
    return shared_registry.row()


@pytest.fixture
def file() -> Iterator[int]:
    with tempfile.TemporaryFile() as opened:
        yield opened.fileno()


def test_nothing_is_wrong_with_the_text(shared_registry: SharedRegistry, metrics: Metrics) -> None:
    metrics.call_begun(f"/{AUDIO}")
    metrics.call_ended(f"/{AUDIO}", Status.OK)
    assert complaints(shared_registry.text()) == []
    assert {f"{family.name}".removesuffix("_total") for family in of.FAMILIES} < set(
        Read(shared_registry.text()).families
    )


def test_what_would_be_wrong_is_found() -> None:
    text = render([Reading(Family("audio_lag_ms_total", "gauge", ""), [1.0])] * 2)
    assert len(complaints(text)) == 8


def test_everything_is_shown_from_the_first_but_statuses(shared_registry: SharedRegistry) -> None:
    shared_registry.row()
    read = Read(shared_registry.text())
    assert read.samples["audio_server_takes_total", (("outcome", "lost"),)] == 0
    assert not [name for name, _ in read.samples if name == "audio_server_calls_total"]


def test_counters_and_gauges(shared_registry: SharedRegistry, metrics: Metrics) -> None:
    metrics.device_came()
    metrics.device_came()
    metrics.device_gone()
    metrics.device_back()
    metrics.device_taken_over()
    metrics.take_begun()
    metrics.take_begun()
    metrics.take_over(Outcome.CUT)
    metrics.sent(15, 2500)
    metrics.sent(5, 500)
    metrics.led_fault(LedFault.REFUSED)
    metrics.led_corrected()
    read = Read(shared_registry.text())
    assert (read("devices_connected"), read("device_arrivals_total")) == (1, 2)
    assert (read("device_reconnects_total"), read("device_takeovers_total")) == (1, 1)
    assert (read("devices_playing"), read("takes_total", outcome="cut")) == (1, 1)
    assert (read("sound_packets_total"), read("sound_bytes_total")) == (20, 3000)
    assert (read("led_faults_total", fault="refused"), read.total("led_faults_total")) == (1, 1)
    assert read("led_corrections_total") == 1


def test_calls_by_method_and_status(shared_registry: SharedRegistry, metrics: Metrics) -> None:
    for path in (f"/{AUDIO}", f"/{AUDIO}", "/made.Up/byAPeer"):
        metrics.call_begun(path)
    metrics.call_ended(f"/{AUDIO}", Status.ABORTED)
    metrics.call_ended("/made.Up/byAPeer", Status.OK)
    read = Read(shared_registry.text())
    assert read("calls_open", method=AUDIO) == 1
    assert read("calls_total", method=AUDIO, code="ABORTED") == 1
    assert read("calls_total", method="other", code="OK") == 1
    assert read.total("calls_total") == 2


@pytest.mark.parametrize(
    ("tell", "name"),
    [
        (Metrics.connection_refused, "connections_refused_total"),
        (Metrics.connection_dropped, "connections_dropped_total"),
        (Metrics.request_refused, "requests_refused_total"),
    ],
)
def test_a_word_that_is_not_known_makes_no_label(tell, name, shared_registry, metrics) -> None:
    tell(metrics, "a word of a peer's own")
    assert Read(shared_registry.text())(name, reason="other") == 1


def test_a_connection_that_is_idle_broke_no_rule(
    shared_registry: SharedRegistry, metrics: Metrics
) -> None:
    metrics.connection_dropped("no_error")
    assert Read(shared_registry.text())("connections_dropped_total", reason="idle") == 1


def test_histograms(shared_registry: SharedRegistry, metrics: Metrics) -> None:
    metrics.acknowledged(0.001)  # a bound belongs to its bucket
    metrics.acknowledged(0.0011)
    metrics.acknowledged(60)
    metrics.served(100, 0.02)
    metrics.served(1, -1e-9)  # what a float does not hold is not early
    read = Read(shared_registry.text())
    assert read("press_ack_seconds_bucket", le="0.0005") == 0
    assert read("press_ack_seconds_bucket", le="0.001") == 1
    assert read("press_ack_seconds_bucket", le="2.5") == 2
    assert read("press_ack_seconds_bucket", le="+Inf") == 3
    assert read("press_ack_seconds_count") == 3
    assert read("press_ack_seconds_sum") == pytest.approx(60.0021)
    assert read("refill_lateness_seconds_count") == 101
    assert read("refill_lateness_seconds_sum") == pytest.approx(2)


async def test_lag_is_told_once(autojump_clock) -> None:
    told: list[float] = []
    with trio.move_on_after(10 * EVERY_S):
        await watch_lag(told.append)
    assert told == pytest.approx([0] * len(told), abs=1e-6)
    assert len(told) in (9, 10)


async def test_a_pause_is_no_burst(mock_clock) -> None:
    told: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_lag, told.append)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(2.0)
        await trio.testing.wait_all_tasks_blocked()
        assert told[0] == pytest.approx(2.0 - EVERY_S)
        assert len(told) == 2
        nursery.cancel_scope.cancel()


def test_without_anybody_to_read_it_metrics_do_no_harm() -> None:
    Metrics().device_came()
    RpcMeter().connection_opened()


# -- several processes


def test_rows_are_summed(file: int) -> None:
    page, worker = SharedRegistry(2, file), SharedRegistry(2, file)
    page.row().device_back()
    for number in (1, 2):
        metrics = worker.row(number)
        metrics.device_came()
        metrics.acknowledged(0.001)
    read = Read(page.text())
    assert read("devices_connected") == 2
    assert read("press_ack_seconds_count") == 2
    assert read("device_reconnects_total") == 1


def test_a_process_that_is_gone_has_no_devices(file: int, monkeypatch) -> None:
    """What it has counted stays."""
    page, worker = SharedRegistry(1, file), SharedRegistry(1, file)
    page.row()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: _pid_of_nobody())
        worker.row(1).device_came()
    read = Read(page.text())
    assert (read("devices_connected"), read("device_arrivals_total")) == (0, 1)
    assert not [labels for _, labels in read.samples if ("worker", "1") in labels]


def test_the_one_that_replaces_it_counts_on(file: int) -> None:
    worker = SharedRegistry(1, file)
    worker.row(1).device_came()
    worker.row(1).device_came()
    read = Read(SharedRegistry(1, file).text())
    assert (read("devices_connected"), read("device_arrivals_total")) == (1, 2)


def _pid_of_nobody() -> int:
    return 2**22 + 1  # above what Linux gives


# -- what the system knows


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="asks Linux")  # noqa: PTH110
def test_memory_and_time_of_this_process(shared_registry: SharedRegistry, metrics: Metrics) -> None:
    read = Read(shared_registry.text())
    assert 10e6 < read("process_resident_memory_bytes", worker="0") < 10e9
    assert read("process_cpu_seconds_total", worker="0") == pytest.approx(_own_cpu_s(), abs=1)
    assert read("process_start_time_seconds", worker="0") > 1.6e9


def _own_cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def test_a_process_that_is_not_there() -> None:
    assert not is_alive(_pid_of_nobody())
    assert not is_alive(0)
    assert usage(_pid_of_nobody()) is None


def test_a_process_of_somebody_else_is_alive(monkeypatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(process.os, "kill", refuse)
    assert is_alive(1)
