"""Options of a virtual device: flags, bounds and meanings.

The help page is the docstrings of the fields.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from audio_server.simulator.verdict import (
    Limits,
    ModeWhilePlaying,
    PlayWhilePlaying,
    ServerRules,
    StopGoes,
)
from audio_server.wire.device_ids import FORM, is_device_id


def _valid_id(_: Any, value: str) -> None:
    if not is_device_id(value):
        raise ValueError(f"a device id is {FORM}")


def _valid_target(_: Any, value: str | None) -> None:
    if value is not None and (not value or (value.startswith("-") and value != "-")):
        raise ValueError("a file is needed, or - for standard output")


def _token(_: Any, tokens: Sequence[cyclopts.Token]) -> str | None:
    """An empty variable counts as unset; an empty flag is a mistake."""
    text, source = tokens[0].value, tokens[0].source
    if not text and source != "env":
        raise ValueError("a token is needed")
    return text or None


Port = Annotated[int, Parameter(validator=Number(gte=1, lte=65535))]
Id = Annotated[
    str, Parameter(name="--id", validator=_valid_id, show_default=lambda _: "a new one each time")
]
TlsFile = Annotated[Path | None, Parameter(show_default=False)]
Token = Annotated[
    str | None,
    Parameter(
        converter=_token, env_var="AUDIO_DEVICE_TOKEN", show_env_var=False, show_default=False
    ),
]
Script = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
Target = Annotated[str | None, Parameter(allow_leading_hyphen=True, validator=_valid_target)]
Play = Annotated[bool | None, Parameter(negative="--no-play")]
Count = Annotated[int, Parameter(validator=Number(gte=1, lte=1000))]
Modes = Annotated[int | None, Parameter(validator=Number(gte=1))]
Found = Parameter(show_default=lambda _: "found out")
Milliseconds = Annotated[int, Parameter(validator=Number(gte=0, lte=60_000))]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Values made in Python are taken as they are."""

    host: str = "127.0.0.1"
    """Address or name of the server."""

    port: Port = 50051
    """Port of the server."""

    device_id: Id = field(default_factory=lambda: f"virtual-{os.getpid()}")
    """Id of the device; the server keeps the mode of each."""

    tls: bool = False
    """Speak TLS, and trust the authorities that the system trusts."""

    tls_ca: TlsFile = None
    """Speak TLS, and trust these authorities (PEM)."""

    tls_cert: TlsFile = None
    """Certificate of the device (PEM), for a server that asks for one."""

    tls_key: TlsFile = None
    """Private key of the certificate (PEM, without a password)."""

    token: Token = None
    """Token of the device, for a server that asks for one. Better in the environment variable
    AUDIO_DEVICE_TOKEN, which other users of the machine do not see."""

    script: Script = None
    """Steps to take without a terminal, such as "connect mode play wait:2 stop". Exit status 0:
    the server kept the contract; 1: it broke it; 2: wrong usage, or no server."""

    record: Path | None = None
    """Keep the sound: FILE.opus bit for bit as received, or FILE.wav."""

    pcm: Target = None
    """Write the sound in real time, s16le 48 kHz mono, to a file or - (standard output)."""

    play: Play = None
    """Play the sound through an installed program (paplay, pw-cat, aplay, sox, ffplay). Default: on
    a terminal, unless --pcm is given."""

    devices: Count = 1
    """With --script: so many devices at once, ID-1, ID-2 and so on."""

    seed: int = 0
    """With --script: the seed of random steps."""

    modes: Modes = None
    """How many clips the server has, to judge where modes wrap, and which modes have no clip and
    show the error. Default: found out."""

    play_while_playing: Annotated[PlayWhilePlaying | None, Found] = None
    """What the server is set to, to judge what Play does while a clip plays."""

    mode_while_playing: Annotated[ModeWhilePlaying | None, Found] = None
    """The same of Mode while a clip plays."""

    stop_goes: Annotated[StopGoes | None, Found] = None
    """The same of the mode after Stop."""

    alone: bool = False
    """No operator acts on the device, and no other device has its id: what it did not ask for is
    a breach. Without this it is a note."""

    lead_ms: Milliseconds = 300
    """The lead that the server is set to, to judge its pace."""

    tolerance_ms: Milliseconds = 100
    """How much the network may add to any time."""

    whole_takes: bool = False
    """Read nothing while a take plays that has come whole, as the reference client does."""

    trace: bool = False
    """With --script: print events to standard error."""

    @property
    def address(self) -> str:
        """The server, as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def told(self) -> dict[str, str]:
        """The settings of the server that are known."""
        values = {name: getattr(self, name) for name in ServerRules._fields}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def limits(self) -> Limits:
        """How far the oracle lets the server go."""
        return Limits(lead_s=self.lead_ms / 1000, tolerance_s=self.tolerance_ms / 1000)
