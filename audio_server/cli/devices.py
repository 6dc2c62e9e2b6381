"""`audio-server devices`: those that are connected or away, and those that have a token."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cyclopts import App

from audio_server.cli.live import forget, show, show_all
from audio_server.cli.parameters import AsJson, DeviceId, TokenPlace
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say, say_json, say_table
from audio_server.settings.values import ConfigFile

HELP = """List the devices of a running server, connected or away, or manage their tokens.

Tokens are in a file, or in the cluster that --cluster names; a server that runs
follows within a second.
"""

app = App(name="devices", help=HELP, help_formatter=HELP_FORMATTER)
app.default(show_all)
app.command(show)
app.command(forget)

HEADINGS = ("device", "enrolled")


@app.command
def enroll(
    device_id: DeviceId,
    /,
    at: TokenPlace | None = None,
    *,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Give a device a token. It is printed now, and cannot be read later."""
    from audio_server.identity import tokens

    at = at or TokenPlace()
    if at.is_shared:
        from audio_server.cli import shared_tokens

        token = shared_tokens.enroll(at.settings(), device_id)
    else:
        token = tokens.enroll(_tokens(at), device_id)
    if as_json:
        say_json({"device_id": device_id, "token": token}, indent=None)
    else:
        say(token)


@app.command
def revoke(
    device_id: DeviceId,
    /,
    at: TokenPlace | None = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Take a device's token away. If it is connected, it is dropped."""
    from audio_server.identity import tokens

    at = at or TokenPlace()
    if at.is_shared:
        from audio_server.cli import shared_tokens

        shared_tokens.revoke(at.settings(), device_id)
    else:
        tokens.revoke(_tokens(at), device_id)


@app.command(name="list")
def list_devices(
    at: TokenPlace | None = None, *, as_json: AsJson = False, config: ConfigFile = None
) -> None:
    """List the devices that have a token."""
    from audio_server.identity.tokens import Enrolment, read_tokens

    at = at or TokenPlace()
    if at.is_shared:
        from audio_server.cli import shared_tokens

        enrolments: Collection[Enrolment] = shared_tokens.read(at.settings())
    else:
        enrolments = read_tokens(_tokens(at)).values()
    if as_json:
        rows = [{"device_id": one.device_id, "enrolled": one.enrolled_at} for one in enrolments]
        say_json(rows)
    else:
        say_table([HEADINGS, *((one.device_id, one.enrolled_at) for one in enrolments)])


def _tokens(at: TokenPlace) -> Path:
    """Return the file of tokens."""
    from audio_server.identity.tokens import TOKENS_FILE

    return at.data_folder() / TOKENS_FILE
