"""A report of the judge: lines for people, JUnit's XML for CI, and a document for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings, Verdict
from audio_server.judge.order import Document, Finding
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


def document_of(findings: Findings, left: str | None) -> Document:
    """Return the findings as a document; `left` is why the rest was not seen."""
    duties: list[Finding] = [
        {
            "duty": duty.name.lower(),
            "text": duty.value,
            "verdict": findings.verdict(duty).value,
            "seen": list(findings.seen(duty)),
        }
        for duty in Duty
    ]
    return {"device": findings.device_id, "duties": duties, "left": left}


def findings_of(document: Mapping[str, Any]) -> Findings:
    """Return the findings that a document has; duties of another version are left out."""
    findings = Findings(document["device"])
    for one in document["duties"]:
        if (duty := Duty.__members__.get(one["duty"].upper())) is None:
            continue
        if one["verdict"] == Verdict.KEPT.value:
            findings.kept(duty)
        for seen in one["seen"]:
            findings.broken(duty, seen)
    return findings
