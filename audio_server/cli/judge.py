"""`audio-server judge`: a server that judges the devices which connect to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from audio_server.cli.parameters import DeviceId
from audio_server.process.output import say, say_error
from audio_server.settings import Settings
from audio_server.settings.values import ConfigFile, File, Host, Port

Seconds = Annotated[float, Parameter(validator=Number(gt=0, lte=86_400))]


def judge(
    *devices: DeviceId,
    host: Host = "127.0.0.1",
    port: Port = 50051,
    tls_cert: File = None,
    tls_key: File = None,
    tls_client_ca: File = None,
    junit: File = None,
    press_s: Seconds = 30.0,
    return_s: Seconds = 60.0,
    wait_s: Seconds = 300.0,
    config: ConfigFile = None,
) -> None:
    """Judge devices by the protocol; the exit status is 0 if they broke no duty.

    It serves in the place of a server, so a device that is to be judged connects to it. Without
    an ID the first device that comes is judged. The steps take about a minute.

    Parameters
    ----------
    devices: str
        The devices to judge, side by side.
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
        How long the judge waits for presses, in seconds.
    return_s: float
        How long a device may take to come back, in seconds.
    wait_s: float
        How long the judge waits for the devices, in seconds.
    """
    import trio

    from audio_server.judge import report
    from audio_server.judge.serve import judge_devices
    from audio_server.judge.trial import Patience
    from audio_server.process.logs import configure_logs

    configure_logs("human", "error")
    settings = Settings(
        host=host, port=port, tls_cert=tls_cert, tls_key=tls_key, tls_client_ca=tls_client_ca
    )
    patience = Patience(press_s, return_s)
    findings = trio.run(
        partial(judge_devices, settings, devices, tell=say, patience=patience, wait_s=wait_s)
    )
    for each in findings:
        say(*report.lines(each))
    if junit is not None:
        _write(junit, report.junit(findings))
    missing = set(devices) - {each.device_id for each in findings}
    for device_id in sorted(missing) or ([] if findings else ["no device"]):
        say_error(f"{device_id}: did not come within {wait_s:g} s")
    if missing or not findings or not all(each.is_clean for each in findings):
        raise SystemExit(1)


def _write(file: Path, document: bytes) -> None:
    """Write the report. Raises `OSError`, which names the file."""
    file.write_bytes(document)
