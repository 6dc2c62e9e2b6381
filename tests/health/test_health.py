"""`grpc.health.v1` as its document has it, asked by our own client and by grpcio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import trio
import trio.testing
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.health.v1.health_grpc import HealthStub
from grpclib.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from probed import probed, stream, unary

from audio_server.rpc.client import channel_over
from audio_server.rpc.server_connection import serve_connection
from audio_server.service.health import HealthService

DEVICES = "com.opalcamera.test.DeviceService"
SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
CHECK, WATCH = (f"/grpc.health.v1.Health/{name}" for name in ("Check", "Watch"))


@asynccontextmanager
async def asked(draining: trio.Event) -> AsyncIterator[HealthStub]:
    """A client of a server that answers for one service."""
    services = HealthService(draining, [DEVICES]).__mapping__()
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, services, far)
        async with channel_over(near) as channel:
            untyped: Any = channel
            yield HealthStub(untyped)


async def check(stub: HealthStub, service: str) -> int:
    async with stub.Check.open() as call:
        await call.send_message(HealthCheckRequest(service=service), end=True)
        answer = await call.recv_message()
        assert answer is not None
        return answer.status


@pytest.mark.parametrize("service", ["", DEVICES])
async def test_check(service: str) -> None:
    draining = trio.Event()
    async with asked(draining) as stub:
        assert await check(stub, service) == SERVING
        draining.set()
        assert await check(stub, service) == NOT_SERVING


async def test_check_unknown() -> None:
    async with asked(trio.Event()) as stub:
        with pytest.raises(GRPCError) as caught:
            await check(stub, "some.Other")
    assert caught.value.status is Status.NOT_FOUND


async def test_check_without_a_message() -> None:
    async with asked(trio.Event()) as stub, stub.Check.open() as call:
        await call.end()
        with pytest.raises(GRPCError) as caught:
            await call.recv_message()
    assert caught.value.status is Status.INTERNAL


@pytest.mark.parametrize("service", ["", DEVICES])
async def test_watch_tells_of_the_drain_once(service: str, autojump_clock) -> None:
    draining = trio.Event()
    async with asked(draining) as stub, stub.Watch.open() as call:
        await call.send_message(HealthCheckRequest(service=service), end=True)
        assert (await call.recv_message()).status == SERVING
        with trio.move_on_after(1000) as quiet:
            await call.recv_message()
        assert quiet.cancelled_caught
        draining.set()
        assert (await call.recv_message()).status == NOT_SERVING
        with trio.move_on_after(1000) as quiet:
            await call.recv_message()
        assert quiet.cancelled_caught


async def test_watch_that_begins_in_the_drain(autojump_clock) -> None:
    draining = trio.Event()
    draining.set()
    async with asked(draining) as stub, stub.Watch.open() as call:
        await call.send_message(HealthCheckRequest(), end=True)
        assert (await call.recv_message()).status == NOT_SERVING
        with trio.move_on_after(1000) as quiet:
            await call.recv_message()
    assert quiet.cancelled_caught


async def test_watch_unknown_stays(autojump_clock) -> None:
    draining = trio.Event()
    async with asked(draining) as stub, stub.Watch.open() as call:
        await call.send_message(HealthCheckRequest(service="some.Other"), end=True)
        assert (await call.recv_message()).status == SERVICE_UNKNOWN
        draining.set()
        with trio.move_on_after(1000) as quiet:
            await call.recv_message()
    assert quiet.cancelled_caught


async def test_grpcio_asks(tmp_path) -> None:
    """No device id, no token: the server is asked as Kubernetes does."""

    def ask(channel: grpc.Channel) -> tuple[int, int, Any]:
        overall, devices = (
            unary(channel, CHECK, HealthCheckRequest(service=name), HealthCheckResponse).status
            for name in ("", DEVICES)
        )
        with pytest.raises(grpc.RpcError) as caught:
            unary(channel, CHECK, HealthCheckRequest(service="x"), HealthCheckResponse)
        return overall, devices, caught.value.code()  # type: ignore[attr-defined]

    async with probed(tmp_path, tokens="off") as server:
        assert await server.ask(ask) == (SERVING, SERVING, grpc.StatusCode.NOT_FOUND)


async def test_grpcio_watches_a_server_that_stops(tmp_path) -> None:
    async with probed(tmp_path) as server:

        def watch(channel: grpc.Channel) -> tuple[list[int], Any]:
            seen = []
            answers = stream(channel, WATCH, [HealthCheckRequest()], HealthCheckResponse.FromString)
            try:
                for answer in answers:
                    seen.append(answer.status)
                    trio.from_thread.run_sync(server.stop.set)
            except grpc.RpcError as error:
                return seen, error.code()  # type: ignore[attr-defined]
            return seen, None

        expected = ([SERVING, NOT_SERVING], grpc.StatusCode.UNAVAILABLE)
        assert await server.ask(watch) == expected


async def test_health_needs_no_token(tmp_path) -> None:
    def ask(channel: grpc.Channel) -> int:
        answer = unary(channel, CHECK, HealthCheckRequest(), HealthCheckResponse)
        return int(answer.status)

    (tmp_path / "data").mkdir()
    async with probed(tmp_path, tokens="required", data=tmp_path / "data") as server:
        assert await server.ask(ask) == SERVING
