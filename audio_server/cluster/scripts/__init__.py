"""The scripts that the engine runs: each reads and writes one row in one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CLAIM, PUT_MODE, RELEASE, RECLAIM, BEAT = NAMES = (
    "claim",
    "put_mode",
    "release",
    "reclaim",
    "beat",
)


def read_scripts(clock: str | None = None) -> Mapping[str, str]:
    """Return the text of each script; `clock` replaces the part that reads the engine's clock."""
    before = _read("clock") + (clock or "")
    return {name: before + _read(name) for name in NAMES}


def _read(name: str) -> str:
    return Path(__file__).with_name(f"{name}.lua").read_text()
