"""Parameters that several commands share, with their lines of help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token

from audio_server.settings import Folder
from audio_server.wire.device_ids import FORM, is_device_id


def _device_id(_: Any, tokens: Sequence[Token]) -> str:
    text = tokens[0].value
    if not is_device_id(text):
        raise ValueError(f'"{text}": a device id is {FORM}')
    return text


DeviceId = Annotated[str, Parameter(name="ID", converter=_device_id, help="The device.")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON, for programs.")]
AsJsonLines = Annotated[AsJson, Parameter(help="Print JSON, a line for each event, for programs.")]
ClipsFolder = Annotated[
    Folder, Parameter(help="Folder of clips.", show_default=lambda _: "./clips")
]
