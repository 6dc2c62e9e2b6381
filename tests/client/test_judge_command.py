"""`audio-server judge --devices`: steps, findings, the report, and the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from client_run import Run
from fake_api import FakeServer, said


def finding(duty: str, verdict: str, *seen: str) -> dict[str, Any]:
    return {"duty": duty, "text": "...", "verdict": verdict, "seen": list(seen)}


def findings(*duties: dict[str, Any], left: str | None = None) -> tuple[str, dict[str, Any]]:
    return "findings", {"device": "hall", "duties": list(duties), "left": left}


STEP = ("step", {"text": "buttons: press Mode \x1b[2J"})
KEPT = finding("calls", "kept")
BROKEN = finding("set", "broken", 'answered a set with status: "ok"')


def test_a_device_that_is_right(fake: FakeServer, run: Run, tmp_path: Path) -> None:
    fake.streamed = [STEP, findings(KEPT, finding("new_in_another_version", "kept"))]
    file = tmp_path / "report.xml"
    more = ["--press-s", "0", "--return-s", "20", "--cut", "--junit", str(file)]
    status, out, err = run("judge", "--devices", "hall", *more)
    assert (status, err) == (0, "")
    first, second, *_, last = out.splitlines()
    assert (first, second) == (r"hall: buttons: press Mode \x1b[2J", "hall:")
    assert last.startswith("  1 kept, 0 broken, ")
    body = {"press_s": 0.0, "return_s": 20.0, "cut": True}
    assert fake.asked == [("POST", "/api/devices/hall/judge", body)]
    (suite,) = ElementTree.fromstring(file.read_bytes())
    assert (suite.get("name"), suite.get("failures")) == ("hall", "0")


def test_a_device_that_is_wrong_fails(fake: FakeServer, run: Run) -> None:
    fake.streamed = [findings(KEPT, BROKEN)]
    status, out, _ = run("judge", "--devices", "hall")
    assert status == 1
    assert '            - answered a set with status: "ok"' in out.splitlines()


def test_a_device_that_left_fails(fake: FakeServer, run: Run) -> None:
    fake.streamed = [findings(KEPT, left="the device left (sound)")]
    status, out, err = run("judge", "--devices", "hall")
    assert (status, err) == (1, "hall: the device left (sound)\n")
    assert "1 kept, 0 broken" in out


def test_a_device_that_came_back_to_another_process_is_right(fake: FakeServer, run: Run) -> None:
    fake.streamed = [findings(finding("return", "kept"), left="it is at another process")]
    status, out, err = run("judge", "--devices", "hall")
    assert (status, err) == (0, "")
    assert "hall: it is at another process" in out.splitlines()


def test_several_devices_are_judged_side_by_side(fake: FakeServer, run: Run) -> None:
    fake.refusal = said({"error": "it plays"}, 409)
    status, out, err = run("judge", "--devices", "hall", "attic", "hall")
    assert (status, out) == (1, "")
    assert sorted(err.splitlines()) == ["attic: it plays", "hall: it plays"]


@pytest.mark.parametrize(
    ("streamed", "line"),
    [
        ([("failed", {"reason": "its node b gave no answer"})], "hall: its node b gave no answer"),
        ([STEP], "hall: the server ended the trial"),
    ],
)
def test_a_trial_without_findings_is_one_line(
    fake: FakeServer, run: Run, streamed: Any, line: str
) -> None:
    fake.streamed = streamed
    status, _, err = run("judge", "--devices", "hall")
    assert (status, err) == (1, f"audio-server: {line}\n")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("den", "--devices", "hall"), "give IDs of devices that come, or --devices"),
        (("--devices", "hall", "--press-s", "121"), "--press-s and --return-s are at most 120"),
        (("--devices", "a b"), '"a b": a device id is'),
    ],
)
def test_wrong_usage_is_one_line(run: Run, argv: tuple[str, ...], says: str) -> None:
    status, _, err = run("judge", *argv)
    assert (status, len(err.splitlines())) == (2, 1)
    assert says in err
