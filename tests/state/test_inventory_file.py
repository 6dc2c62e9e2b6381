"""The inventory in the state file: written, read, added to older files, carried by backups."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from audio_server.device.entry import Entry
from audio_server.state.backup import back_up, restore
from audio_server.state.file import SCHEMA, StateFile
from audio_server.state.modes import open_modes
from audio_server.state.record import Record

LEDS = "ffffff0060ff" + 4 * "000000"
KITCHEN = Entry(1_700_000_000.25, 1_700_000_060.5, "10.0.0.7:51234", 3, 12, 1, 2, LEDS, "2.7.1 (b)")
HALL = Entry(1_700_000_001.0, 1_700_000_002.0, None, 1, 0, 0, 0, None)


def test_entries_and_tags_are_read_as_they_were_written(path: Path) -> None:
    kept = Record(
        entries={"kitchen": KITCHEN, "hall": HALL}, tags={"kitchen": ("east", "lobby"), "x": ("y",)}
    )
    with StateFile(path) as file:
        file.write(kept)
        assert file.read() == kept
        assert list(file.read().entries) == ["hall", "kitchen"]  # by when they were last seen
        later = KITCHEN._replace(takes=13)
        file.write(Record(entries={"kitchen": later, "hall": None}, tags={"x": ()}))
        assert file.read() == Record(
            entries={"kitchen": later}, tags={"kitchen": ("east", "lobby")}
        )


def test_a_file_from_before_there_was_an_inventory(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        for change in SCHEMA[:3]:
            db.execute(change)
        db.execute("INSERT INTO modes VALUES ('kitchen', 1)")
        db.execute("INSERT INTO names VALUES ('kitchen', 'Küche')")
        db.execute("PRAGMA user_version = 3")
    db.close()
    with StateFile(path) as file:
        file.write(Record(entries={"kitchen": KITCHEN}))
        assert file.read() == Record({"kitchen": 1}, {"kitchen": "Küche"}, {"kitchen": KITCHEN})


def test_a_file_from_before_there_was_firmware(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        for change in SCHEMA[:5]:
            db.execute(change)
        db.execute(
            "INSERT INTO devices VALUES ('hall', 1700000001, 1700000002, NULL, 1, 0, 0, 0, NULL)"
        )
        db.execute("PRAGMA user_version = 5")
    db.close()
    with StateFile(path) as file:
        file.write(Record(entries={"kitchen": KITCHEN}))
        assert file.read().entries == {"hall": HALL, "kitchen": KITCHEN}


def test_firmware_that_no_server_has_written_is_cleaned(path: Path) -> None:
    with StateFile(path) as file:
        file.write(Record(entries={"kitchen": KITCHEN._replace(firmware="\x1b[1m" + "x" * 900)}))
        assert file.read().entries["kitchen"].firmware == "[1m" + "x" * 61


def test_leds_that_no_server_has_written_are_unknown(path: Path) -> None:
    with StateFile(path) as file:
        file.write(Record(entries={"kitchen": KITCHEN._replace(leds="<b>")}))
        assert file.read().entries == {"kitchen": KITCHEN._replace(leds=None)}


def test_a_backup_carries_them(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", Record(entries={"kitchen": KITCHEN}, tags={"kitchen": ("a",)})
    with StateFile(data / "state.db") as file:
        file.write(kept)
    back_up(tmp_path / "kept.tar", data, None, None)
    restore(tmp_path / "kept.tar", tmp_path / "restored")
    with StateFile(tmp_path / "restored" / "state.db") as file:
        assert file.read() == kept


async def test_the_store_keeps_them_and_forgets_all_of_a_device(path: Path) -> None:
    async with open_modes(path.parent) as store:
        assert store is not None
        store.put("kitchen", 2)
        store.inventory.put_name("kitchen", "Küche")
        store.inventory.put_entry("kitchen", KITCHEN)
        store.inventory.put_entry("hall", HALL)
        store.inventory.put_tags("kitchen", ("lobby",))
    async with open_modes(path.parent) as store:
        assert store is not None
        assert store.inventory.entries == {"kitchen": KITCHEN, "hall": HALL}
        assert store.inventory.tags == {"kitchen": ("lobby",)}
        store.inventory.forget("kitchen")
        assert store.get("kitchen") == 0
    with StateFile(path) as file:
        assert file.read() == Record(entries={"hall": HALL})
