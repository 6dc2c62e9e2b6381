"""`audio-server dev-certs`: mutual TLS to try out, in a minute."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from audio_server.process.output import say
from audio_server.settings.values import ConfigFile, Folder
from audio_server.wire.device_ids import FORM, is_device_id

if TYPE_CHECKING:
    from audio_server.identity.dev_certs import DevCerts


def _ids(_: Any, value: Sequence[str]) -> None:
    for device_id in value:
        if not is_device_id(device_id):
            raise ValueError(f"{device_id}: a device id is {FORM}")


def _names(_: Any, value: Sequence[str]) -> None:
    for host in value:
        if not host or not host.isascii():
            raise ValueError(f'"{host}" is not a host name or address (in ASCII)')


Hosts = Annotated[tuple[str, ...], Parameter(name="--host", validator=_names, show_default=False)]
DeviceIds = Annotated[
    tuple[str, ...], Parameter(name="--id", validator=_ids, show_default=", ".join)
]


def dev_certs(
    folder: Folder = Path("dev-certs"),
    /,
    *,
    hosts: Hosts = (),
    device_ids: DeviceIds = ("device-1",),
    config: ConfigFile = None,
) -> None:
    """Make certificates for a server and its devices, and say how to try them.

    An authority that is in the folder is used again, so devices can be added.

    Parameters
    ----------
    folder: Path
        Where they are written.
    hosts: str
        A name or address of the server besides localhost; may be given again.
    device_ids: str
        A device that gets a certificate; may be given again.
    """
    from audio_server.identity.dev_certs import make_dev_certs

    certs = make_dev_certs(folder, hosts, device_ids)
    say(*_try_out(certs, device_ids[0]))


def _try_out(certs: DevCerts, device_id: str) -> list[str]:
    device = certs.devices[device_id]
    server_files = {"cert": certs.server.cert, "key": certs.server.key, "client-ca": certs.ca}
    device_files = {"ca": certs.ca, "cert": device.cert, "key": device.key}
    return [
        _command(["audio-server"], server_files),
        _command(["audio-device", "--id", device_id], device_files),
    ]


def _command(words: list[str], files: dict[str, Path]) -> str:
    flags = (f"--tls-{name} {shlex.quote(str(path))}" for name, path in files.items())
    return " ".join([shlex.join(words), *flags])
