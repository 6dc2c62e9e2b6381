"""Every command that the documentation shows works, in the order in which it is shown."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from forks import ASK, PROGRAMS
from free_ports import free_port
from shown import NOT_RUN, Command, commands, script

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
COMMANDS = {document: list(commands(document)) for document in DOCUMENTS}
RUN = {
    document: [each for each in shown if each.is_run]
    for document, shown in COMMANDS.items()
    if any(each.is_run for each in shown)
}
SOUNDS = ("bell.flac", "louder.flac")


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a process that has all imported."""
    path = tmp_path_factory.mktemp("forks") / "socket"
    command = [sys.executable, str(Path(__file__).with_name("forks.py")), str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield path
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def home(tmp_path: Path, forks: Path) -> Path:
    """A reader's clone: with clips, sound files, and with commands that are this project's."""
    ask = ASK.format(python=sys.executable, path=str(forks))
    programs = dict.fromkeys(PROGRAMS, ask) | {
        "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
        "parec": "#!/bin/sh\nexec head -c 96000 /dev/zero\n",
        "espeak-ng": f"#!/bin/sh\ncat >/dev/null\nexec cat {tmp_path / 'work' / SOUNDS[0]}\n",
    }
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    work = tmp_path / "work"
    for folder in ("clips", "deploy", "docs"):
        shutil.copytree(ROOT / folder, work / folder, ignore=shutil.ignore_patterns("_build"))
    for name in SOUNDS:
        write_bell(work / name)
    return work


def write_bell(path: Path) -> None:
    """Half a second of a tone."""
    tone = array("h", (round(9000 * math.sin(math.tau * 660 * n / 48_000)) for n in range(24_000)))
    with av.open(path, "w") as file:
        stream = file.add_stream("flac", rate=48_000)
        stream.layout = "mono"  # type: ignore[attr-defined]
        frame = av.AudioFrame("s16", "mono", len(tone))
        frame.planes[0].update(tone.tobytes())
        frame.rate = 48_000
        file.mux(stream.encode(frame))  # type: ignore[attr-defined]
        file.mux(stream.encode(None))  # type: ignore[attr-defined]


def environment(home: Path, ports: dict[str, int]) -> dict[str, str]:
    """Nothing of the machine's own settings, ports that are free, and no time for coverage."""
    other = ("AUDIO_", "XDG_", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(other)}
    http = f"127.0.0.1:{ports['8080']}"
    return kept | {
        "HOME": str(home.parent),
        "PATH": f"{home.parent / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TERM": "xterm",
        "AUDIO_SERVER_LOG_FORMAT": "json",
        "AUDIO_SERVER_PORT": str(ports["50051"]),
        "AUDIO_SERVER_HTTP": http,
        "AUDIO_SERVER_URL": f"http://{http}",
    }


def free_ports() -> dict[str, int]:
    """For each usual port one that is free."""
    return {"50051": free_port(), "50052": free_port(), "8080": free_port()}


def run(shown: list[Command], home: Path) -> subprocess.CompletedProcess[str]:
    """Run commands as a reader would; `stdout` has all that was said."""
    ports = free_ports()
    return subprocess.run(
        ["bash", "-c", script(shown, ports)],
        cwd=home,
        env=environment(home, ports),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("document", RUN, ids=lambda document: document.stem)
def test_all_that_is_shown_works(document: Path, home: Path) -> None:
    done = run(RUN[document], home)
    assert done.returncode == 0, done.stdout


def test_what_is_not_run_is_shown_somewhere() -> None:
    shown = [command.text for document in COMMANDS.values() for command in document]
    assert [start for start in NOT_RUN if not any(text.startswith(start) for text in shown)] == []


def test_a_command_that_fails_is_named(home: Path) -> None:
    shown = [Command("page.md:3", "false || true"), Command("page.md:7", "audio-server clips lost")]
    done = run(shown, home)
    assert done.returncode != 0
    assert re.search(r"FAILED \(\d+\) at page.md:7: audio-server clips lost", done.stdout)
