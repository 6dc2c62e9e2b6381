"""A system that is not supported is one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

# As Windows has them: without the modules of POSIX, and before anything is asked of the system.
WINDOWS = """
import os, sys
for name in ("fcntl", "termios", "tty", "resource", "pwd"):
    sys.modules[name] = None
from audio_server.{module} import main
os.name = "nt"
main(["--help"])
"""


@pytest.mark.parametrize(
    ("command", "module"), [("audio-server", "cli"), ("audio-device", "simulator.cli")]
)
def test_windows_is_told_in_one_line(command: str, module: str) -> None:
    code = WINDOWS.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{command}: Windows is not supported; use Linux, in WSL for example\n"
