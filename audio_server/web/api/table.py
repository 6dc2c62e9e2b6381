"""All that can be asked for."""

from __future__ import annotations

from collections.abc import Sequence

from audio_server.web.api.about import AboutOperations
from audio_server.web.api.clips import ClipOperations
from audio_server.web.api.devices import DeviceOperations
from audio_server.web.api.operation import Operation
from audio_server.web.api.play import PlayOperations
from audio_server.web.context import Context


def all_operations(context: Context, *, login: bool) -> Sequence[Operation]:
    """All operations of a server; `login` says whether it asks for a token."""
    about_devices = [*DeviceOperations(context).all, *PlayOperations(context).all]
    others = [*about_devices, *ClipOperations(context).all]
    return [*AboutOperations(context, others, login=login).all, *others]
