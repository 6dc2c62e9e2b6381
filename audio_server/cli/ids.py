"""Devices and buttons as arguments of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter, Token

from audio_server.wire.device_ids import FORM, is_device_id


def _device_id(_: Any, tokens: Sequence[Token]) -> str:
    text = tokens[0].value
    if not is_device_id(text):
        raise ValueError(f'"{text}": a device id is {FORM}')
    return text


DeviceId = Annotated[str, Parameter(name="ID", converter=_device_id)]
Button = Annotated[Literal["mode", "play", "stop", "connect"], Parameter(name="BUTTON")]
