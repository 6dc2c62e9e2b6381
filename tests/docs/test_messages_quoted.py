"""What the documentation quotes is what the programs say: lines of the log, errors, metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audio_server.metrics import families as of

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]

SOURCES = "\n".join(
    path.read_text()
    for path in sorted(ROOT.glob("audio_server/**/*"))
    if path.suffix in (".py", ".js", ".html")
)
EVENTS = set(
    re.findall(
        r"(?:log\.(?:info|warning|error|exception|debug)\(\s*|\"event\": )\"([^\"%]+)\"", SOURCES
    )
)

# Two words or more, of letters: what a person reads. Commands and settings have other characters,
# or begin as these do.
MESSAGE = re.compile(r"[A-Za-z][\w',-]*(?: [\w',.-]+|: [\w',.-]+| …)+")
COMMAND = re.compile(
    r"audio-(?:server|device) |(?:devices|clips) \w+$|nox |.* -|[\w-]+: \S+$|\w+: Bearer "
)
OF_OTHERS = {"lobby playing", "option http-no-delay", "hash-type consistent", "systemctl reload"}
"""What a user types, and settings of proxies."""

OF_PARTS = {
    "take cut",
    "take lost",
    "take stalled",
    "no answer within 5 s",
    "disconnected: the peer did not answer a PING",
}
"""Messages that a program puts together, so that no source has them whole."""

OF_SYSTEMS = ("Address already in use", "No such file or directory")


def quoted(document: Path) -> list[str]:
    """Spans of code that are no commands, outside of blocks of code."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
    return [span for span in spans if MESSAGE.fullmatch(span) and not COMMAND.match(span)]


def is_said(message: str) -> bool:
    """Whether a program says so; it may have a name or a number where a quote has an ellipsis."""
    words = re.sub(r": \S+\.\.\.$", ": ", message).strip(" .…") if "..." in message else message
    return words in SOURCES or any(words.endswith(reason) for reason in OF_SYSTEMS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_message_that_is_quoted_is_said(document: Path) -> None:
    assert [
        one for one in quoted(document) if not is_said(one) and one not in OF_OTHERS | OF_PARTS
    ] == []


# "the log has `...`", "... is one line in the log (`...`)": the event that is named there.
OF_LOG = (
    re.compile(r"\blogs? (?:has|have|says?)(?: no)? `([^`]+)`"),
    re.compile(r"\blog \(`([^`.]+)`\)"),
    re.compile(r"(?:warned of once|one warning)[^.|`]*[(,] ?`([^`]+)`"),
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_line_of_the_log_that_is_named_is_logged(document: Path) -> None:
    text = " ".join(document.read_text().split())
    named = {event for pattern in OF_LOG for event in pattern.findall(text)}
    assert named - EVENTS == set()


def test_there_are_quotes_at_all() -> None:
    operating = (ROOT / "docs" / "operating.md").read_text()
    text = " ".join(operating.split())
    assert "clips not reloaded" in {event for one in OF_LOG for event in one.findall(text)}
    assert "certificates not reloaded" in quoted(ROOT / "docs" / "operating.md")
    assert not is_said("a line that nothing logs")
    assert len(EVENTS) > 50


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_metric_that_is_named_is_there(document: Path) -> None:
    there = {family.name for family in of.FAMILIES} | {"audio_server_build_info"}
    suffixed = {f"{name}{end}" for name in there for end in ("_bucket", "_sum", "_count")}
    named = set(re.findall(r"\baudio_server_[a-z_]+[a-z]\b(?![\w./])", document.read_text()))
    assert named - there - suffixed == set()
