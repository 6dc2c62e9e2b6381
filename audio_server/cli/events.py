"""`audio-server logs`: past events of devices, and those that follow."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from audio_server.cli.parameters import AsJsonLines, DeviceId
from audio_server.cli.remote import Remote, print_line
from audio_server.process.output import say

OneDevice = Annotated[DeviceId, Parameter(help="The device.  [default: all]")]
Follow = Annotated[
    bool, Parameter(name=("--follow", "-f"), help="Go on with later events, until Ctrl-C.")
]


def logs(
    device_id: OneDevice | None = None,
    /,
    remote: Remote | None = None,
    *,
    follow: Follow = False,
    as_json: AsJsonLines = False,
) -> None:
    """Print events of devices of a running server: presses, takes, LEDs, connections."""
    import trio

    from audio_server.client import history

    def tell(event: dict[str, object]) -> None:
        say(history.line(event))

    server = (remote or Remote()).server()
    told = history.follow if follow else history.past
    trio.run(told, server, device_id, print_line if as_json else tell)
