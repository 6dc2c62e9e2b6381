"""`audio-server announce`: its sound, its devices, its answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from client_run import Run
from fake_api import FakeServer, said

MADE = {"id": "a1", "seconds": 2.0, "done": 1, "gone": [], "failed": {}}


@pytest.fixture(autouse=True)
def made(fake: FakeServer) -> None:
    fake.answer = MADE


def order(devices: Any, **more: Any) -> tuple[str, str, Any]:
    body = {"devices": devices, "chime": False, "priority": 0}
    return ("POST", "/api/announce", body | more)


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("bell", "hall", "attic", "hall"), order(["hall", "attic"], clip="bell")),
        (("bell", "--all", "--chime"), order("all", clip="bell", chime=True)),
        (("--say", "Dinner is ready", "hall"), order(["hall"], say="Dinner is ready")),
        (("--say=-v Dinner", "--all"), order("all", say="-v Dinner")),
        (("bell", "--tag", "upstairs"), order({"tag": "upstairs"}, clip="bell")),
        (("bell", "hall", "--priority", "9"), order(["hall"], clip="bell", priority=9)),
    ],
)
def test_an_order(fake: FakeServer, run: Run, argv: tuple[str, ...], asked: object) -> None:
    assert run("announce", *argv) == (0, "announced on 1 device\n", "")
    assert fake.asked == [asked]


def test_a_file_that_is_here_is_sent(fake: FakeServer, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "note.flac"
    file.write_bytes(bytes(range(256)) * 1000)
    assert run("announce", str(file), "hall") == (0, "announced on 1 device\n", "")
    assert fake.sent == [("note.flac", file.read_bytes())]
    assert fake.asked == [order(["hall"], sound="s1")]


def test_standard_input_is_sent(fake: FakeServer) -> None:
    command = [sys.executable, "-m", "audio_server", "announce", "-", "hall", "--url", fake.url]
    done = subprocess.run(command, input=b"sound" * 50_000, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"announced on 1 device\n", b"")
    assert fake.sent == [("standard input", b"sound" * 50_000)]


def test_a_file_that_is_no_sound_is_named(fake: FakeServer, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_bytes(b"x")
    fake.refusal = said({"error": "note: cannot be read as sound"}, 422)
    status, out, err = run("announce", str(file), "hall")
    assert (status, out) == (1, "")
    assert err.startswith("audio-server: note")
    assert "cannot be read as sound" in err


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        ((), "which sound? Give a clip, a file, - for standard input, --say TEXT, or --mic"),
        (("bell",), "which devices? Give their IDs, --tag NAME, or --all"),
        (("--say", "x"), "which devices? Give their IDs, --tag NAME, or --all"),
        (("bell", "hall", "--all"), "which devices? Give their IDs, --tag NAME, or --all"),
        (("bell", "no such/id"), '"no such/id": a device id is'),
        (("bell", "hall", "--priority", "10"), "Must be <= 9"),
        (("bell", "hall", "--loud"), "there is no such option: --loud"),
    ],
)
def test_wrong_usage_is_one_line(
    fake: FakeServer, run: Run, argv: tuple[str, ...], error: str
) -> None:
    status, out, err = run("announce", *argv)
    assert (status, out) == (2, "")
    assert error in err
    assert err.count("\n") == 1
    assert fake.asked == []


def test_devices_that_are_not_reached_fail_it(fake: FakeServer, run: Run) -> None:
    fake.answer = MADE | {"gone": ["attic"], "failed": {"hall": "it has no audio stream open"}}
    assert run("announce", "bell", "--all") == (
        1,
        "announced on 1 device\n",
        "audio-server: attic: no such device is connected; hall: it has no audio stream open\n",
    )


def heard(over: bool, **devices: tuple[str, str | None]) -> dict[str, Any]:
    told = {key: {"hearing": one, "reason": reason} for key, (one, reason) in devices.items()}
    return {"id": "a1", "sound": "bell", "seconds": 2.0, "over": over, "devices": told}


def test_it_waits_for_the_end(fake: FakeServer, run: Run) -> None:
    fake.heard = [
        heard(over=False, hall=("playing", None)),
        heard(over=True, hall=("heard", None)),
    ]
    assert run("announce", "bell", "hall", "--wait") == (0, "heard on 1 device\n", "")
    assert [path for _, path, _ in fake.asked[1:]] == ["/api/announcements/a1"] * 2


def test_a_wait_names_those_that_have_not_heard_it(fake: FakeServer, run: Run) -> None:
    end = heard(
        over=True,
        hall=("cut", "Stop was pressed"),
        attic=("not_connected", None),
        roof=("stalled", "no packet taken for 30 s"),
        shed=("heard", None),
    )
    fake.heard = [end]
    assert run("announce", "bell", "--all", "--wait") == (
        1,
        "heard on 1 device\n",
        "audio-server: hall: was cut (Stop was pressed); attic: no such device is connected; "
        "roof: stalled (no packet taken for 30 s)\n",
    )
    fake.heard = [end]
    status, out, _ = run("announce", "bell", "--all", "--wait", "--json")
    assert (status, json.loads(out)) == (1, end)
