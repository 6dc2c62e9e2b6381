"""The commands as processes: how they start, answer and end."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from importlib import metadata

import pytest

HEAVY = (
    "asyncio",
    "av",
    "cryptography",
    "google.protobuf",
    "grpclib",
    "hypercorn",
    "rich.markdown",
    "rich.progress",
    "starlette",
    "structlog",
    "trio",
)


def cpu_s(code: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """The CPU time of a program: says more than a clock where many share a machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


@pytest.mark.parametrize("argv", [["--help"], ["clips", "add", "--help"], ["--version"]])
def test_help_is_fast_for_it_loads_nothing_heavy(argv) -> None:
    code = f"""
import atexit, sys
from audio_server.cli import main
atexit.register(lambda: print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr))
main({argv})
"""
    took_s, done = cpu_s(code)
    assert done.stderr.split() == []
    assert done.stdout
    bare_s, _ = cpu_s("import cyclopts, rich")
    assert took_s < 10 * bare_s  # half of it: a bound in seconds would judge the machine


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--help"], ["serve", "check", "clips", "--port", "--config", "50051"]),
        (["serve", "--help"], ["--lead-ms", "300"]),
        (["clips", "--help"], ["list", "add"]),
        (["clips", "list", "--help"], ["--json", "--clips"]),
        (["clips", "add", "--help"], ["FILE", "--rate", "--channels", "--format", "--name"]),
        (["check", "--help"], ["--within-s"]),
    ],
)
def test_help_pages(argv, named, capsys) -> None:
    from audio_server.cli import main

    with pytest.raises(SystemExit) as exit:
        main(argv)
    assert not exit.value.code
    page = capsys.readouterr().out
    assert [word for word in named if word not in page] == []
    assert not set("╭│╰─") & set(page)


def test_the_module_is_the_command(run_command) -> None:
    done = run_command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == metadata.version("streaming-audio-server")


def test_a_wrong_value_has_no_traceback(run_command) -> None:
    done = run_command("--port", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'audio-server: Invalid value for --port: "x" is not a whole number\n'


def test_a_reader_that_goes_away_is_no_error_of_ours(tmp_path) -> None:
    command = [sys.executable, "-m", "audio_server", "clips", "list", "--cache", str(tmp_path)]
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        command, env=buffered, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_an_interrupt_before_the_server_is_there_is_quiet(monkeypatch, capsys) -> None:
    from audio_server.cli import main

    async def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("audio_server.app.serve", interrupted)
    with pytest.raises(SystemExit) as exit:
        main([])
    assert exit.value.code == 128 + signal.SIGINT
    assert capsys.readouterr() == ("", "")


def test_a_bug_is_not_dressed_up_as_a_mistake_of_the_user(monkeypatch) -> None:
    from audio_server.cli import main

    async def broken(*_: object, **__: object) -> None:
        raise ExceptionGroup("", [OSError("mishap"), ZeroDivisionError()])

    monkeypatch.setattr("audio_server.app.serve", broken)
    with pytest.raises(ExceptionGroup):
        main([])


def test_an_error_in_a_nursery_is_one_line(monkeypatch, fail) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ExceptionGroup("", [ExceptionGroup("", [OSError(98, "Address already in use")])])

    monkeypatch.setattr("audio_server.app.serve", broken)
    line = fail("--host", "::1", "--port", "7")
    assert line == "audio-server: ::1:7: Address already in use\n"
