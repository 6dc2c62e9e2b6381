"""A server that drains gradually says at once that it takes no devices, and keeps its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from free_ports import free_port
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.health.v1.health_grpc import HealthStub
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from probed import probed

from audio_server.rpc.client import open_channel
from audio_server.wire.comms_grpc import DeviceServiceStub


async def status_of(http_port: int, path: str) -> int:
    """The status of an HTTP answer."""
    async with await trio.open_tcp_stream("127.0.0.1", http_port) as stream:
        host = f"host: 127.0.0.1:{http_port}\r\nconnection: close\r\n"
        await stream.send_all(f"GET {path} HTTP/1.1\r\n{host}\r\n".encode())
        answer = b"".join([part async for part in stream])
    return int(answer.split()[1])


async def wait_told(watch: Any, wanted: Any) -> None:
    while (await watch.recv_message()).status != wanted:
        pass


async def read_to_end(call: Any) -> None:
    while await call.recv_message() is not None:
        pass


async def test_probes_are_told_at_once_and_devices_stay_a_while(tmp_path: Path) -> None:
    http_port = free_port()
    settings = {"http": f"127.0.0.1:{http_port}", "drain_s": 6.0}
    with trio.fail_after(60):
        async with (
            probed(tmp_path, **settings) as server,
            open_channel("127.0.0.1", server.port) as prober,
            open_channel("127.0.0.1", server.port) as channel,
        ):
            untyped: tuple[Any, Any] = prober, channel
            async with (
                HealthStub(untyped[0]).Watch.open() as watch,
                DeviceServiceStub(untyped[1]).StatusStream.open(
                    metadata={"device_id": "one"}
                ) as frames,
            ):
                await watch.send_message(HealthCheckRequest(service=""), end=True)
                await wait_told(watch, HealthCheckResponse.SERVING)
                assert await frames.recv_message() is not None
                assert await status_of(http_port, "/readyz") == 200
                start = trio.current_time()
                server.stop.set()
                await wait_told(watch, HealthCheckResponse.NOT_SERVING)
                assert await status_of(http_port, "/readyz") == 503
                assert await status_of(http_port, "/healthz") == 200
                with pytest.raises(OSError, match="connect"):
                    await trio.open_tcp_stream("127.0.0.1", server.port)
                with pytest.raises(GRPCError) as ended:
                    await read_to_end(frames)
                assert ended.value.status is Status.UNAVAILABLE
                # Of two connections one goes after half of the time, or at its end.
                assert trio.current_time() - start > 2
