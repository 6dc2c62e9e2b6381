"""Completion, as the shells do it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from audio_server.cli import main

TRY = """
COMP_WORDS=(audio-server {words} "")
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_audio_server
echo ${{COMPREPLY[@]}}
"""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("", {"devices", "top", "press", "play", "stop", "rename", "logs", "serve", "check"}),
        ("devices", {"show", "enroll", "revoke", "list"}),
        ("press kitchen", {"mode", "play", "stop", "connect"}),
        ("top --sort", {"id", "state", "errors", "lead"}),
    ],
)
def test_bash(words: str, offered: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "bash"])
    script = capsys.readouterr().out + TRY.format(words=words)
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert offered <= set(done.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", shell])
    script = capsys.readouterr().out
    assert "audio-server" in script
    if shutil.which(shell):  # else nobody here can read it
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
