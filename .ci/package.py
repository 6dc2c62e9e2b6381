"""Run the README's lines for uv and pipx with a wheel in the place of the clone.

`python .ci/package.py WHEEL`; nox -s package calls it. Both tools take the dependencies from the
package index.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

README = Path(__file__).parent.parent / "README.md"
ALONE = ("--port", "0", "--http", "off", "--data", "off")
READY, END_S = "listening", 30


def main(wheel: str) -> None:
    """Exit non-zero for a line that does not serve, or does not end by SIGINT."""
    lines = lines_of(README.read_text(encoding="utf-8"))
    assert [line[0] for line in lines] == ["uvx", "pipx"], "the README has other lines"
    for line in lines:
        with TemporaryDirectory() as folder:
            os.environ["PIPX_HOME"] = folder  # else it would take a wheel of this name for this one
            serve([wheel if word == "." else word for word in line])
        print(f"package: served, and ended by SIGINT: {' '.join(line)}")


def lines_of(readme: str) -> list[list[str]]:
    """Return the words of each line for uv or pipx, without comments."""
    found = re.findall(r"^((?:uvx|pipx) [^#\n]*)", readme, re.MULTILINE)
    return [line.split() for line in found]


def serve(command: list[str]) -> None:
    """Start a server, wait until it listens, and end it."""
    with subprocess.Popen(
        [*command, *ALONE], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        seen = []
        for text in process.stderr:
            seen.append(text)
            if READY in text:
                process.send_signal(signal.SIGINT)
        if process.wait(END_S) or not any(READY in text for text in seen):
            sys.exit(f"package: {command}: {process.returncode}\n{''.join(seen)}")


if __name__ == "__main__":
    main(sys.argv[1])
