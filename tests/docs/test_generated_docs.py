"""What the documentation takes from the code is what the code says now."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from audio_server.settings import LimitSettings, Settings

DOCS = Path(__file__).parents[2] / "docs"


def test_nothing_that_is_made_is_out_of_date() -> None:
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", ""), "run docs/generate.py"


def test_every_setting_has_a_section_with_its_flag_and_its_variable() -> None:
    text = (DOCS / "configuration.md").read_text()
    found = re.findall(r"^### (.+)\n\n.+\n\n`(.+?)` · `(.+?)` · .+ · .*default", text, re.MULTILINE)
    names = [field.name for field in fields(Settings) if field.name != "limits"]
    flags = ["--" + name.replace("_", "-") for name in names]
    variables = [f"AUDIO_SERVER_{name.upper()}" for name in names]
    assert found == list(zip(names, flags, variables, strict=True))


def test_every_limit_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE)
    assert rows == [field.name for field in fields(LimitSettings)]
