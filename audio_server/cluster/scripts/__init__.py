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
LEASE, UNLEASE = OF_LEASES = "lease", "unlease"

SEE, AWAY, ALIVE, LOST, GIVE_UP, PUT_SEEN = OF_INVENTORY = (
    "see",
    "away",
    "alive",
    "lost",
    "give_up",
    "put_seen",
)


def read_scripts(clock: str | None = None) -> Mapping[str, str]:
    """Return the text of each script; `clock` replaces the part that reads the engine's clock."""
    before = _read("clock") + (clock or "")
    scripts = {name: before + _read(name) for name in ROWS}
    seen, record = before + _read("seen"), _read("record")
    scripts |= {name: seen + _read(name) for name in OF_INVENTORY}
    return {**scripts, **{name: seen + record + _read(name) for name in OF_RECORDS}}


def read_lease_scripts() -> Mapping[str, str]:
    """Return the text of each script of leases."""
    before = _read("clock") + _read("leases")
    return {name: before + _read(name) for name in OF_LEASES}


def _read(name: str) -> str:
    return Path(__file__).with_name(f"{name}.lua").read_text()
