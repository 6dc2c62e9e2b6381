"""`audio-server logs`: past events of devices, and those that follow."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from audio_server.cli.ids import DeviceId
from audio_server.cli.remote import AsJson, Remote, print_line
from audio_server.process.output import say

Follow = Annotated[bool, Parameter(name=("--follow", "-f"))]


def logs(
    device_id: DeviceId | None = None,
    /,
    remote: Remote | None = None,
    *,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Print events of devices of a running server: presses, takes, LEDs, connections.

    Parameters
    ----------
    device_id: str
        The device.  [default: all]
    follow: bool
        Go on with later events, until Ctrl-C.
    as_json: bool
        Print a JSON line for each, for programs.
    """
    import trio

    from audio_server.client import history

    def tell(event: dict[str, object]) -> None:
        say(history.line(event))

    server = (remote or Remote()).server()
    told = history.follow if follow else history.past
    trio.run(told, server, device_id, print_line if as_json else tell)
