"""The bar that is shown while clips are prepared."""

from __future__ import annotations

import io
import sys
from contextlib import suppress

import pytest

from audio_server.cli.progress import clip_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called by the test itself: what a fixture sets as standard error is gone by then."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    with clip_progress() as show:
        assert show is not None
        show(0, 2)
        show(1, 2)
        show(2, 2)
        shown = terminal.getvalue()
        assert "Preparing clips" in shown
        assert "100%" in shown
        print("listening", file=sys.stderr)
    assert terminal.getvalue().endswith("listening\n")  # the bar is gone when all is done


def test_the_bar_goes_also_when_it_does_not_get_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    with suppress(OSError), clip_progress() as show:
        assert show is not None
        show(0, 2)
        raise OSError("mishap")
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is erased


def test_nothing_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with clip_progress() as show:
        assert show is None
    assert capsys.readouterr() == ("", "")
