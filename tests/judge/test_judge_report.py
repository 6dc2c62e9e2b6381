"""What people and CI read of a trial."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from audio_server.cli import main
from audio_server.judge.duties import Duty
from audio_server.judge.findings import BREACH_CHARS, SEEN_MAX, Findings
from audio_server.judge.report import junit, lines


def findings() -> Findings:
    found = Findings("den")
    found.kept(Duty.CALLS)
    found.kept(Duty.SET)
    found.broken(Duty.SET, 'answered a set with status: "\x1b[2Jok"')
    return found


def test_lines_say_each_sentence_and_each_breach() -> None:
    said = list(lines(findings()))
    assert said[0] == "den:"
    assert "  kept      a device opens its three calls as soon as it is switched on" in said
    at = said.index('  broken    a device answers each set, once, with `status: "success"`')
    assert said[at + 1].startswith("            - answered a set")
    assert said[-1] == f"  1 kept, 1 broken, {len(Duty) - 2} not seen"


def test_a_breach_without_end_is_kept_in_bounds() -> None:
    found = findings()
    for number in range(100):
        found.broken(Duty.DRAWN, f"LED 1 is {number:06X}")
    assert len(found.seen(Duty.DRAWN)) == SEEN_MAX


def test_junit_has_a_case_for_each_sentence() -> None:
    (suite,) = ElementTree.fromstring(junit([findings()]))
    assert suite.get("failures") == "1"
    assert suite.get("skipped") == str(len(Duty) - 2)
    assert len(suite) == len(Duty)
    (failure,) = suite.iter("failure")
    assert failure.get("message") == r'answered a set with status: "\x1b[2Jok"'


@pytest.mark.parametrize("ids", [[], ["den", "hall"]])
def test_a_device_that_does_not_come(
    ids: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    clean_environment: None,
    logs_as_they_were: None,
) -> None:
    file = tmp_path / "report.xml"
    with pytest.raises(SystemExit) as exited:
        main(["judge", *ids, "--port", "0", "--wait-s", "0.01", "--junit", str(file)])
    assert exited.value.code == 1
    said, errors = capsys.readouterr()
    assert said.startswith("listening on 127.0.0.1:")
    missing = [f"{each}: did not come within 0.01 s" for each in ids or ["no device"]]
    assert errors.splitlines() == missing
    assert ElementTree.fromstring(file.read_bytes()).get("name") == "audio-server judge"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--junit", "nowhere/report.xml"], "nowhere/report.xml: "),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.key"], "missing.pem"),
        (["a b"], '"a b": a device id is'),
    ],
)
def test_wrong_usage_is_one_line(
    flags: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    clean_environment: None,
    logs_as_they_were: None,
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["judge", "--port", "0", "--wait-s", "0.01", *flags])
    assert exited.value.code == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert "Traceback" not in errors


def test_a_breach_is_a_short_line() -> None:
    """It may quote a device: an error text of 60 KB must not go to each page and node that asks."""
    findings = Findings("den")
    for end in "ab":
        findings.broken(Duty.SET, "x" * 60_000 + end)
    assert findings.seen(Duty.SET) == ["x" * BREACH_CHARS + "..."]
