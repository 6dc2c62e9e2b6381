"""`audio-server judge`: devices that come to it, or those that are connected to a server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import DeviceId, device_id
from audio_server.cli.remote import Remote, ask
from audio_server.process.output import say, say_error
from audio_server.settings import Settings
from audio_server.settings.values import ConfigFile, File, Host, Port

if TYPE_CHECKING:
    from audio_server.judge.findings import Findings
    from audio_server.judge.trial import Patience

Seconds = Annotated[float, Parameter(validator=Number(gt=0, lte=86_400))]
PressSeconds = Annotated[float, Parameter(validator=Number(gte=0, lte=86_400))]
Connected = Annotated[list[str] | None, Parameter(name="--devices", consume_multiple=True)]

Judged: TypeAlias = "tuple[list[Findings], list[str]]"
"""The findings, and a line for each device without any."""

CONNECTED_MAX_S = 120.0
"""How long devices of a running server are waited for."""


def judge(
    *ids: DeviceId,
    devices: Connected = None,
    remote: Remote | None = None,
    cut: bool = False,
    host: Host = "127.0.0.1",
    port: Port = 50051,
    tls_cert: File = None,
    tls_key: File = None,
    tls_client_ca: File = None,
    junit: File = None,
    press_s: PressSeconds = 30.0,
    return_s: Seconds = 60.0,
    wait_s: Seconds = 300.0,
    config: ConfigFile = None,
) -> None:
    """Judge devices by the protocol; the exit status is 0 if they broke no duty.

    It serves in the place of a server, so a device that is to be judged connects to it. Without
    an ID the first device that comes is judged. The steps take about a minute.

    With --devices it asks the server that runs to judge devices that are connected to it, and
    serves nothing itself.

    Parameters
    ----------
    ids: str
        The devices to judge, side by side.
    devices: str
        The devices to judge that are connected to a running server.
    cut: bool
        With --devices: judge also devices that play, and cut their takes.
    host: str
        Address or name to listen on.
    port: int
        TCP port to listen on.
    tls_cert: Path
        Certificate of the judge (PEM): with it devices have to speak TLS.
    tls_key: Path
        The private key of the certificate (PEM).
    tls_client_ca: Path
        Authorities of the devices' certificates (PEM): with it a device needs one.
    junit: Path
        File for a report in JUnit's XML.
    press_s: float
        How long the judge waits for presses, in seconds; with 0 it asks for none.
    return_s: float
        How long a device may take to come back, in seconds.
    wait_s: float
        How long the judge waits for the devices, in seconds.
    """
    from audio_server.judge import report
    from audio_server.judge.trial import Patience
    from audio_server.process.logs import configure_logs

    patience = Patience(press_s, return_s)
    if devices and ids:
        raise CommandError("give IDs of devices that come, or --devices that are connected")
    if devices is not None:
        wanted = [device_id(one) for one in dict.fromkeys(devices)]
        findings, faults = _judge_connected(remote, wanted, patience, cut)
    else:
        configure_logs("human", "error")
        settings = Settings(
            host=host, port=port, tls_cert=tls_cert, tls_key=tls_key, tls_client_ca=tls_client_ca
        )
        findings, faults = _judge_that_come(settings, ids, patience, wait_s)
    for each in findings:
        say(*report.lines(each))
    if junit is not None:
        _write(junit, report.junit(findings))
    for fault in faults:
        say_error(fault)
    if faults or not all(each.is_clean for each in findings):
        raise SystemExit(1)


def _judge_that_come(
    settings: Settings, ids: Sequence[str], patience: Patience, wait_s: float
) -> Judged:
    import trio

    from audio_server.judge.serve import judge_devices

    findings = trio.run(
        partial(judge_devices, settings, ids, tell=say, patience=patience, wait_s=wait_s)
    )
    missing = sorted(set(ids) - {each.device_id for each in findings})
    if not ids and not findings:
        missing = ["no device"]
    return findings, [f"{device_id}: did not come within {wait_s:g} s" for device_id in missing]


def _judge_connected(
    remote: Remote | None, device_ids: Sequence[str], patience: Patience, cut: bool
) -> Judged:
    longest_s = max(patience.press_s, patience.return_s)
    if longest_s > CONNECTED_MAX_S:
        raise CommandError(
            f"with --devices, --press-s and --return-s are at most {CONNECTED_MAX_S:g}"
        )
    from audio_server.cli.judge_connected import judge_connected

    return ask(remote, lambda api: judge_connected(api, device_ids, patience, cut=cut))


def _write(file: Path, document: bytes) -> None:
    """Write the report. Raises `OSError`, which names the file."""
    file.write_bytes(document)
