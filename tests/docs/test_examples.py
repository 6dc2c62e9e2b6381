"""The devices in other languages are built, and work with the server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
HEADERS = Path("/usr/include")
CAN_BUILD = (
    all(shutil.which(program) for program in ("cc", "make", "nanopb_generator.py"))
    and (HEADERS / "nghttp2/nghttp2.h").exists()
    and (HEADERS / "pb_decode.h").exists()
)

HOME, SQUARE = "000000 000000 000000 000000", "ffb000 000000 000000 000000"
IDLE, PLAYING = "0060ff", "00ff40"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server."""
    cache = tmp_path_factory.mktemp("cache")
    options = ("--port", "0", "--http", "off", "--data", "off", "--cache", str(cache))
    command = [sys.executable, "-m", "audio_server", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        yield int(json.loads(process.stderr.readline())["port"])
        process.terminate()


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judge(said: str) -> None:
    """Mode lights the square, Play plays, and Stop ends the take a second later."""
    shown = re.findall(r"^LEDs \S+ (\S+) (.*)$", said, re.MULTILINE)
    assert (IDLE, SQUARE) in shown
    assert (PLAYING, SQUARE) in shown
    assert said.count("a take begins") == 1
    (packets,) = re.findall(r"a take ends after (\d+) packets", said)
    assert 45 <= int(packets) <= 90  # a second, the lead, and time that a busy machine takes


@pytest.mark.punctual
@pytest.mark.skipif(not CAN_BUILD, reason="gcc, make, nghttp2 and nanopb are not all here")
def test_a_device_in_c(port: int, tmp_path: Path) -> None:
    run("make", f"BUILD={tmp_path}", cwd=EXAMPLES / "c")
    judge(run(tmp_path / "device", "127.0.0.1", port, "in-c"))


@pytest.mark.punctual
@pytest.mark.skipif(not shutil.which("npm"), reason="Node and npm are not here")
def test_a_device_in_node(port: int, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "node", tmp_path / "node")
    run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=tmp_path / "node")
    judge(
        run(
            "node",
            "device.js",
            f"127.0.0.1:{port}",
            "in-node",
            ROOT / "comms.proto",
            cwd=tmp_path / "node",
        )
    )
