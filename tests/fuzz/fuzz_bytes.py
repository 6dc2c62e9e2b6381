"""A coverage-guided fuzzer of bytes, for as long as you like; atheris is no need of the project.

    python3.11 -m venv fuzz && fuzz/bin/pip install -r locks/run.txt
    fuzz/bin/pip install atheris hypothesis
    mkdir -p found && PYTHONPATH=. fuzz/bin/python tests/fuzz/fuzz_bytes.py \\
        -max_total_time=600 -max_len=4096 found tests/fuzz/seeds

What it finds (a file `crash-...`) goes to `tests/fuzz/seeds`, where the suite tries it for ever.
The first byte says how the rest arrives: in how large pieces, and what the peer does then.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["audio_server", "h2", "hpack", "hyperframe"]):
    from fuzz_frames import PREFACE
    from fuzz_target import endure


def try_bytes(data: bytes) -> None:
    """One input. Most begin as HTTP/2 does, for what does not ends at once."""
    if not data:
        return
    how, said = data[0], data[1:]
    if how & 0x80 and not said.startswith(PREFACE):
        said = PREFACE + b"\0\0\0\4\0\0\0\0\0" + said
    step = (len(said) or 1, 1, 9, 100)[how & 3]
    pieces = [said[start : start + step] for start in range(0, len(said), step)]
    endure(pieces, stays=bool(how & 4))


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()
