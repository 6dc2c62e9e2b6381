"""The commands that a document shows, and the shell script that runs them as a reader would."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NOT_RUN = {
    "docker": "the image is built and tried by `nox -s image`",
    "python3 -m venv": "they fetch packages; the second of these lines is what CI runs",
    "uvx": "`nox -s package` runs it, with a wheel",
    "pipx": "likewise",
    "kubectl": "it needs a cluster; tests/deploy reads what it is given",
    "helm": "so does it",
    "grpcurl": "it is no part of Debian; tests/health does the same with grpcio",
    "pw-record": "it needs a microphone",
    "audio-server live radio https": "it needs a web radio; tests/client/test_live_url.py has one",
    "make": "it needs a compiler; tests/docs/test_examples.py builds it",
    "opusenc": "it need not be installed",
}
"""How commands begin that no test runs, and why."""

FOR_A_WHILE = (r"audio-server top", r"curl -N", r".*--follow", r"audio-device(?!.*--script)")
"""Patterns of commands that end when the reader has seen enough: they get a second."""

NO_SHELL = {"", "text", "ini", "toml", "yaml", "json", "promql", "nginx", "proto", "python", "html"}
"""Languages of blocks that nobody types into a shell."""

DEVICES = ("kitchen", "hall")
"""Those are there from the beginning where a document speaks of them."""

FENCE = re.compile(r"^ *```(.*?)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"\{[a-z-]+\}")


@dataclass(frozen=True)
class Command:
    """A line of a shell block, with what continues it."""

    place: str
    text: str

    @property
    def is_run(self) -> bool:
        return not any(re.match(rf"{start}\b", self.text) for start in NOT_RUN)

    @property
    def is_endless(self) -> bool:
        return any(re.match(pattern, self.text) for pattern in FOR_A_WHILE)


def commands(document: Path) -> Iterator[Command]:
    """What a document shows, in order. Fails for a language that it does not know."""
    text = document.read_text(encoding="utf-8")
    for fence in FENCE.finditer(text):
        language, block = fence[1].strip(), fence[2]
        if language == "sh":
            line = text.count("\n", 0, fence.start()) + 2
            yield from _commands_in(block, f"{document.name}:{line}")
        else:
            known = language in NO_SHELL or DIRECTIVE.match(language)
            assert known, f"{document.name}: a block of {language!r}"


def _commands_in(block: str, place: str) -> Iterator[Command]:
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        if text := line.strip():
            yield Command(place, text)


def script(shown: list[Command], ports: dict[str, int]) -> str:
    """Bash that runs the commands one after the other; the first that fails ends it."""
    preamble = Path(__file__).with_name("shown.sh").read_text(encoding="utf-8")
    there = [f"device {name}" for name in DEVICES if any(name in each.text for each in shown)]
    steps = [_step(command, ports) for command in shown]
    return preamble + "\n".join([*there, *steps, "the_end"])


def _step(command: Command, ports: dict[str, int]) -> str:
    text = command.text
    for usual, free in ports.items():
        text = re.sub(rf"\b{usual}\b", str(free), text)
    says = f"at {shlex.quote(f'{command.place}: {command.text}')}"
    return f"{says}\nfor_a_while {shlex.quote(text)}" if command.is_endless else f"{says}\n{text}"
