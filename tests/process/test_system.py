"""A system that is not supported is one line."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import audio_server

ROOT = Path(__file__).parents[2]

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


OLD = """
import sys
sys.version_info = (3, 9, 2, "final", 0)
sys.modules["trio"] = sys.modules["cyclopts"] = None  # nothing of them is there, or needed
import runpy
runpy.run_module({module!r}, run_name="__main__")
"""


@pytest.mark.parametrize("module", ["audio_server", "audio_server.simulator.cli"])
def test_an_old_python_is_told_in_one_line(module: str) -> None:
    code = OLD.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"audio-server: Python 3\.11 or newer is needed, and \S+ is 3\.9\.2\n", done.stderr
    )


def test_an_old_python_can_read_the_module_that_says_so() -> None:
    source = Path(audio_server.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    first = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [node.module for node in first if isinstance(node, ast.ImportFrom)] == [
        "__future__",
        "typing",
    ]
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert needed == ">=" + ".".join(map(str, audio_server.OLDEST_PYTHON))
