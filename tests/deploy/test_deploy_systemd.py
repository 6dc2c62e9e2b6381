"""The unit for systemd is one, has the times that the server asks for, and next to no rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deployed import DEPLOY

from audio_server.cli.layers import VARIABLES
from audio_server.settings import Settings

UNIT = (DEPLOY / "systemd" / "audio-server.service").read_text()
EXPOSURE_MAX = 20
"""Of 100, as `systemd-analyze security` counts; a service without any hardening has 96."""


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def value(key: str) -> str:
    (found,) = values(key)
    return str(found)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
@pytest.mark.parametrize(
    "check", [["verify"], ["security", "--offline=true", f"--threshold={EXPOSURE_MAX}"]]
)
def test_systemd_has_no_complaint(check: list[str], tmp_path: Path) -> None:
    program = value("ExecStart").split()[0]
    unit = tmp_path / "audio-server.service"
    unit.write_text(UNIT.replace(program, sys.executable))  # which is here
    command = ["systemd-analyze", "--no-pager", *check, str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_variables_are_settings() -> None:
    given = [pair for line in values("Environment") for pair in line.split()]
    assert {pair.partition("=")[0] for pair in given} <= set(VARIABLES)
    folders = [f"/var/lib/{value('StateDirectory')}", f"/var/cache/{value('CacheDirectory')}"]
    assert [pair.partition("=")[2] for pair in given[:2]] == folders


def test_times_fit() -> None:
    settings = Settings()
    assert value("Type") == "notify"
    assert int(value("WatchdogSec")) > 2 * settings.hang_s
    assert int(value("TimeoutStopSec")) > settings.grace_s + 30
    assert int(value("LimitNOFILE")) > settings.max_devices
