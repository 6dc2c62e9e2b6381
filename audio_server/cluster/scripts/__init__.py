"""The scripts that the engine runs: each changes one row, record or document in one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CLAIM, PUT_MODE, RELEASE, RECLAIM, BEAT, PUT_DOCUMENT, PUT_BLOB, IMPORT_MODE = ROWS = (
    "claim",
    "put_mode",
    "release",
    "reclaim",
    "beat",
    "put_document",
    "put_blob",
    "import_mode",
)
RECORDS, RENAME, TAG, FORGET, ENROLL, REVOKE, RESTORE, IMPORT_RECORD = OF_RECORDS = (
    "records",
    "rename",
    "tag",
    "forget",
    "enroll",
    "revoke",
    "restore",
    "import_record",
)


def read_scripts(clock: str | None = None) -> Mapping[str, str]:
    """Return the text of each script; `clock` replaces the part that reads the engine's clock."""
    before = _read("clock") + (clock or "")
    scripts = {name: before + _read(name) for name in ROWS}
    before += _read("record")
    return {**scripts, **{name: before + _read(name) for name in OF_RECORDS}}


def _read(name: str) -> str:
    return Path(__file__).with_name(f"{name}.lua").read_text()
