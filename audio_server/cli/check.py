"""`audio-server check`: a health check, as cheap as it can be and still true.

It opens HTTP/2 and waits for the server's SETTINGS, so that the server's own loop has to answer;
a listening socket alone would accept connections for a process that hangs. Where the server
speaks TLS its handshake is answer enough: the rest is for clients with a certificate.
It is no device: it opens no stream, so it leaves nothing behind.
"""

from __future__ import annotations

import socket
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from audio_server.cli.errors import CommandError
from audio_server.process.output import say
from audio_server.rpc.proxy_header import LOCAL
from audio_server.rpc.trusted_proxies import is_within
from audio_server.settings.addresses import reachable
from audio_server.settings.values import ConfigFile, File, Host, Networks, Port, ProxyProtocol

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
FRAME_HEADER_BYTES, TYPE_AT, SETTINGS_TYPE = 9, 3, 4

WithinS = Annotated[float, Parameter(validator=Number(gt=0, lte=60))]


def check(
    *,
    host: Host = "127.0.0.1",
    port: Port = 50051,
    tls_cert: File = None,
    proxy_protocol: ProxyProtocol = "off",
    trusted_proxies: Networks = (),
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
    tls_cert: Path
        The server's certificate: that there is one says that it speaks TLS.
    proxy_protocol: str
        The server's: whether connections of proxies begin with a PROXY header.
    trusted_proxies: str
        The server's proxies; from an address of theirs the check sends such a header.
    within_s: float
        How long it may take to answer, in seconds.
    """
    try:
        with socket.create_connection((reachable(host), port), within_s) as connection:
            own_address = str(connection.getsockname()[0])
            if proxy_protocol == "required" and is_within(own_address, trusted_proxies):
                connection.sendall(LOCAL)
            answered = _shakes_hands(connection) if tls_cert else _settles(connection)
    except OSError as error:
        raise CommandError(f"{host}:{port}: {error.strerror or error}") from error
    if not answered:
        raise CommandError(f"{host}:{port}: the server does not speak HTTP/2")
    say(f"{host}:{port}: a server answers")


def _settles(connection: socket.socket) -> bool:
    connection.sendall(PREFACE + EMPTY_SETTINGS)
    header = connection.recv(FRAME_HEADER_BYTES, socket.MSG_WAITALL)
    return len(header) == FRAME_HEADER_BYTES and header[TYPE_AT] == SETTINGS_TYPE


def _shakes_hands(connection: socket.socket) -> bool:
    """Whether TLS comes about. Whose certificate it is says nothing about the server's health."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(connection) as tls:
        return tls.selected_alpn_protocol() == "h2"
