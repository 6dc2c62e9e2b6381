"""Streaming Audio Server: LEDs, buttons and Opus sound of small devices, over gRPC on trio.

The public door. `open_server` runs a server within a program, `serve` is the same with signals;
`Behaviour` replaces the rules of the devices, `AudioSource` is sound of another kind, and a
`Listener` of `devices.subscribe` hears each `DeviceEvent`. docs/extending.md has examples.
"""

from __future__ import annotations

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
