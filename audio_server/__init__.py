"""Streaming Audio Server: LEDs, buttons and Opus sound of small devices, over gRPC on trio.

The public door. `open_server` runs a server within a program, `serve` is the same with signals;
`Behaviour` replaces the rules of the devices, `AudioSource` is sound of another kind, and a
`Listener` of `devices.subscribe` hears each `DeviceEvent`. docs/extending.md has examples.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audio_server.app import OpenServer, open_server, serve
    from audio_server.device.audio_source import AudioSource, PacketSource
    from audio_server.device.behaviour import (
        Action,
        Behaviour,
        Button,
        DefaultBehaviour,
        Effect,
        Rules,
        State,
        Step,
    )
    from audio_server.device.events import DeviceEvent, Listener
    from audio_server.settings import Settings

__all__ = [
    "Action",
    "AudioSource",
    "Behaviour",
    "Button",
    "DefaultBehaviour",
    "DeviceEvent",
    "Effect",
    "Listener",
    "OpenServer",
    "PacketSource",
    "Rules",
    "Settings",
    "State",
    "Step",
    "open_server",
    "serve",
]

OLDEST_PYTHON = (3, 11)


def _require_python(found: tuple[int, ...]) -> None:
    """Leave with one line on a Python that cannot read the other modules; 3.8 can read this one."""
    if found[:2] < OLDEST_PYTHON:
        is_needed, is_there = (".".join(map(str, one[:3])) for one in (OLDEST_PYTHON, found))
        need = f"Python {is_needed} or newer is needed, and {sys.executable} is {is_there}"
        sys.stderr.write(f"audio-server: {need}\n")
        raise SystemExit(2)


_require_python(sys.version_info[:3])

_HOMES = {
    "app": ("OpenServer", "open_server", "serve"),
    "device.audio_source": ("AudioSource", "PacketSource"),
    "device.behaviour": (
        "Action",
        "Behaviour",
        "Button",
        "DefaultBehaviour",
        "Effect",
        "Rules",
        "State",
        "Step",
    ),
    "device.events": ("DeviceEvent", "Listener"),
    "settings": ("Settings",),
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: commands need none of them, and start faster."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
