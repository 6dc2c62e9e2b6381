"""`grpc.health.v1.Health`: whether the server takes devices, for load balancers and probes.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md. A health check needs no
`device_id` and no token.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.health.v1.health_grpc import HealthBase
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from audio_server.rpc.call import ServerCall

OVERALL = ""
"""The name by which the server as a whole is asked for."""

_SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING)
_NOT_SERVING = HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)
_UNKNOWN = HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)


class HealthService(HealthBase):
    """Serving from the first call that can reach it until `draining` is set, for good.

    `names` are the services that it answers for, besides the server as a whole.
    """

    def __init__(self, draining: trio.Event, names: Collection[str]) -> None:
        self._draining = draining
        self._names = {OVERALL, *names}

    async def Check(self, call: Any) -> None:  # noqa: N802
        """Tell how a service is. Raises `GRPCError` NOT_FOUND for one that is not here."""
        request = await _request(call)
        if request.service not in self._names:
            raise GRPCError(Status.NOT_FOUND, "no such service")
        await call.send_message(self._status())

    async def Watch(self, call: Any) -> None:  # noqa: N802
        """Tell how a service is, now and when that changes, for as long as the call lasts."""
        request = await _request(call)
        if request.service not in self._names:
            await call.send_message(_UNKNOWN)
        else:
            await self._tell_changes(call)
        await trio.sleep_forever()

    async def _tell_changes(self, call: ServerCall) -> None:
        status = self._status()
        await call.send_message(status)
        await self._draining.wait()
        if status is _SERVING:
            await call.send_message(_NOT_SERVING)

    def _status(self) -> HealthCheckResponse:
        return _NOT_SERVING if self._draining.is_set() else _SERVING


async def _request(call: ServerCall) -> HealthCheckRequest:
    request: HealthCheckRequest | None = await call.recv_message()
    if request is None:
        raise GRPCError(Status.INTERNAL, "the request has no message")
    return request
