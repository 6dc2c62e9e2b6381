"""The short form against our real server: the whole benchmark, in a few seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main

ROOT = Path(__file__).parents[2]


def test_the_short_form_finds_nothing_wrong_with_our_server(tmp_path: Path) -> None:
    figures, plot = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--peers", "none", "--tls", "both"]
    files = ["--json", str(figures), "--svg", str(plot)]
    run = subprocess.run(
        [*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    cells = json.loads(figures.read_text())["cells"]
    assert [(cell["server"], cell["tls"]) for cell in cells] == [
        ("audio-server", False),
        ("audio-server", True),
    ]
    for cell in cells:
        assert cell["cpu_us_per_packet"] > 0
        assert cell["arrival_cpu_ms"] is not None
        assert abs(cell["rss_kb_per_device"]) < 1000  # a heap that is trimmed outweighs few devices
    assert plot.read_text().startswith("<svg")


def test_a_peer_that_cannot_be_built_is_left_out_and_the_run_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert main(["--no-ours", "--peers", "grpc-go-bursts"]) == 0
    finally:
        signal.signal(signal.SIGTERM, ends)
    assert "grpc-go-bursts is left out: there is no command `go`" in capsys.readouterr().out


def test_a_run_that_measured_nothing_has_no_plot_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one that is interrupted at once."""
    ends = signal.getsignal(signal.SIGTERM)
    plot = tmp_path / "bench.svg"
    try:
        assert main(["--no-ours", "--peers", "none", "--svg", str(plot)]) == 0
    finally:
        signal.signal(signal.SIGTERM, ends)
    assert "there is no plot: no server was measured" in capsys.readouterr().out
    assert not plot.exists()
