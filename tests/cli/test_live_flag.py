"""The names of live channels."""

from __future__ import annotations

import pytest

from audio_server.cli import main

pytestmark = pytest.mark.usefixtures("clean_environment", "logs_as_they_were")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--live", "radio,Hall"], '"Hall": a channel has 1 to 32 letters (a-z), digits'),
        (["--live", "recordings"], '"recordings" is no name for a channel'),
        (["--live", "channels"], '"channels" is no name for a channel'),
        (["--live", "radio", "--record"], "--record: there is no data folder"),
        (["--live-sources", "lobby"], '"lobby" is not NAME=URL'),
        (["--live-sources", "Lobby=http://a/"], '"Lobby": a channel has'),
        (["--live-sources", "lobby=file:///etc/passwd"], "lobby: the source has to be a URL"),
        (["--live", ""], '"": a channel has 1 to 32 letters'),
        (["--live", "a" * 33], "a channel has 1 to 32 letters"),
    ],
)
def test_one_line_says_so(flags: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--port", "0", "--http", "off", "--data", "off", *flags])
    assert exited.value.code == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert "Traceback" not in errors
