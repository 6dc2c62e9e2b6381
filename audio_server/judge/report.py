"""A report of the judge: lines for people, and JUnit's XML for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings, Verdict
from audio_server.process.printable import printable


def lines(findings: Findings) -> Iterator[str]:
    """Yield a line for each duty and each breach of it, then one with the numbers."""
    yield f"{findings.device_id}:"
    for duty in Duty:
        yield f"  {findings.verdict(duty).value:8}  {duty.value}"
        for seen in findings.seen(duty):
            yield f"            - {seen}"
    numbers = Counter(findings.verdict(duty) for duty in Duty)
    yield "  " + ", ".join(f"{numbers[verdict]} {verdict.value}" for verdict in Verdict)


def junit(all_findings: Sequence[Findings]) -> bytes:
    """Return a test suite for each device, with a test case for each duty: a breach is a
    failure, and a duty that was not seen is skipped."""
    root = ElementTree.Element("testsuites", name="audio-server judge")
    for findings in all_findings:
        root.append(_suite(findings))
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(findings: Findings) -> ElementTree.Element:
    verdicts = Counter(findings.verdict(duty) for duty in Duty)
    counts = {"failures": verdicts[Verdict.BROKEN], "skipped": verdicts[Verdict.NOT_SEEN]}
    numbers = {name: str(count) for name, count in counts.items()}
    facts = {"name": findings.device_id, "tests": str(len(Duty)), **numbers}
    suite = ElementTree.Element("testsuite", facts)
    for duty in Duty:
        named = {"classname": findings.device_id, "name": duty.value}
        case = ElementTree.SubElement(suite, "testcase", named)
        match findings.verdict(duty):
            case Verdict.BROKEN:
                seen = [printable(each) for each in findings.seen(duty)]
                ElementTree.SubElement(case, "failure", message=seen[0]).text = "\n".join(seen)
            case Verdict.NOT_SEEN:
                ElementTree.SubElement(case, "skipped", message="not seen")
    return suite
