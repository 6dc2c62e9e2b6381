"""All services of the gRPC port: devices, health, and reflection that describes both."""

from __future__ import annotations

from typing import Any

import trio
from google.protobuf import descriptor_pool
from grpclib.reflection.service import ServerReflection

from audio_server.rpc.server_connection import Services
from audio_server.service.device_service import DeviceService
from audio_server.service.health import HealthService


def all_services(devices: DeviceService, draining: trio.Event) -> Services:
    """`devices`, `grpc.health.v1` until `draining` is set, reflection in v1 and v1alpha.

    Health and reflection are open to every caller.
    """
    health = HealthService(draining, [_name(devices)])
    listed = ServerReflection.extend([devices, health], pool=_Descriptors())
    return {path: handler for one in listed for path, handler in one.__mapping__().items()}


def _name(service: DeviceService) -> str:
    path = next(iter(service.__mapping__()))
    return path.split("/")[1]


class _Descriptors:
    """protobuf's own pool of descriptors, which finds methods too, as reflection has it."""

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802
        """The file that has a symbol; raises `KeyError`."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindMethodByName(symbol).containing_service.file
