"""What a user gets wrong is one line that says what."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from audio_server.cli import main as audio_server
from audio_server.simulator.cli import main as audio_device

MAINS = {"audio-server": audio_server, "audio-device": audio_device}


pytestmark = pytest.mark.usefixtures("clean_environment", "logs_as_they_were")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("audio-server devices enroll a/b", "a device id is 1-64 characters"),
        ("audio-server devices list --data off", "there is no data folder"),
        ("audio-server dev-certs --id a/b", "a device id is 1-64 characters"),
        ("audio-server --tls-cert nowhere.pem --tls-key nowhere.key", "nowhere.pem: No such file"),
        ("audio-server --tls-cert nowhere.pem", "needs both --tls-cert and --tls-key"),
        ("audio-server --tokens required --data off", "needs a data folder"),
        ("audio-server --proxy-protocol required", "needs --trusted-proxies"),
        ("audio-server --workers 2 --proxy-protocol required", "needs --trusted-proxies"),
        ("audio-server --workers 2 --tls-cert nowhere.pem", "needs both --tls-cert and --tls-key"),
        ("audio-device --tls-ca nowhere.pem --script connect", "nowhere.pem: No such file"),
        ("audio-device --tls-cert x --script connect", "--tls-cert and --tls-key go together"),
        ("audio-device --token x --devices 2 --script connect", "a token is for one device"),
    ],
)
def test_a_mistake_is_one_line(line, complaint, capsys) -> None:
    program, *words = shlex.split(line)
    with pytest.raises(SystemExit) as exit:
        MAINS[program](words)
    said = capsys.readouterr()
    assert (exit.value.code, said.out) == (2, "")
    assert complaint in said.err
    assert said.err.count("\n") == 1


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**30)


@pytest.mark.parametrize("make", [os.mkfifo, make_huge, lambda path: path.write_bytes(b"[" * 9999)])
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("audio-server dev-certs .", "ca.pem"),
        ("audio-server --data . --tokens required --http off --port 0", "tokens.json"),
        ("audio-server --tls-cert cert --tls-key key --http off --port 0", "cert"),
        ("audio-server --config settings.toml --limits.idle-s x", "settings.toml"),
        ("audio-device --tls-ca ca --script connect", "ca"),
    ],
)
def test_whatever_lies_where_a_file_should_be_is_one_line(line, name, make, tmp_path, capsys):
    make(tmp_path / name)
    program, *words = shlex.split(line)
    with pytest.raises(SystemExit) as exit:
        MAINS[program](words)
    said = capsys.readouterr()
    assert (exit.value.code, said.out, said.err.count("\n")) == (2, "", 1)
