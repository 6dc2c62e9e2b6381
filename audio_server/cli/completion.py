"""`audio-server completion`: the script with which a shell completes these commands."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

Shell = Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL", help="The shell.")]


def completion(shell: Shell, /) -> None:
    """Print a script with which a shell completes commands, flags and choices."""
    from audio_server.cli.app import app

    sys.stdout.write(f"{app.generate_completion(shell=shell)}\n")  # our own text, with tabs
