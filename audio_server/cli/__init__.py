"""The `audio-server` command: settings from flags, environment and TOML; logs; clips.

Nothing heavy is imported until a command runs, so that `--help` is instant.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from audio_server.process.standard_files import prepare_standard_files
from audio_server.process.system import require_posix


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command line (default: the process's own) and leave by `SystemExit`.

    Status 0 is success, 1 a server that refused or cannot be reached, 2 the user's or the
    environment's fault (one line on standard error says whose), 130 an interrupt, 141 a reader
    that went away. Anything else is a bug of ours and leaves as its own exception.
    """
    prepare_standard_files()
    require_posix("audio-server")
    from audio_server.cli.app import app
    from audio_server.cli.errors import exit_status

    try:
        try:
            app(argv, exit_on_error=False, print_error=False, help_on_error=False)
        finally:
            sys.stdout.flush()  # at exit it would be too late to pass over a reader that is gone
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        status = exit_status(error)
        if status is None:
            raise
        raise SystemExit(status) from None
