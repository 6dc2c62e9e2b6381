"""`audio-server check`: what a health check runs, as cheap as it can be and still true.

It opens HTTP/2 and waits for the server's SETTINGS, so that the server's own loop has to answer;
a listening socket alone would accept connections for a process that hangs. It is no device: it
opens no stream, so it leaves nothing behind.
"""

from __future__ import annotations

import socket
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from audio_server.cli.errors import CommandError
from audio_server.settings import ConfigFile, Host, Port

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
FRAME_HEADER_BYTES, TYPE_AT, SETTINGS_TYPE = 9, 3, 4

WithinS = Annotated[float, Parameter(validator=Number(gt=0, lte=60))]


def check(
    *,
    host: Host = "127.0.0.1",
    port: Port = 50051,
    within_s: WithinS = 3.0,
    config: ConfigFile = None,
) -> None:
    """Say whether a server answers; the exit status is 0 if it does.

    Parameters
    ----------
    host: str
        Address or name of the server.
    port: int
        Its TCP port.
    within_s: float
        How long it may take to answer, in seconds.
    config: Path
        TOML file of settings, as the server has it.
    """
    try:
        with socket.create_connection((host, port), within_s) as connection:
            connection.settimeout(within_s)
            connection.sendall(PREFACE + EMPTY_SETTINGS)
            header = connection.recv(FRAME_HEADER_BYTES, socket.MSG_WAITALL)
    except OSError as error:
        raise CommandError(f"{host}:{port}: {error.strerror or error}") from error
    if len(header) < FRAME_HEADER_BYTES or header[TYPE_AT] != SETTINGS_TYPE:
        raise CommandError(f"{host}:{port}: what answers does not speak HTTP/2")
    print(f"{host}:{port}: a server answers")
