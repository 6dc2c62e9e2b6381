"""The same with gRPC's own client, the C core: its TLS, its certificates, its metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import trio
from guarded import MODE, serving
from papers import HALL, KITCHEN, Papers

from audio_server.identity.tokens import TOKENS_FILE, enroll
from audio_server.wire.comms_pb2 import DeviceEventResponse

EVENTS = "/com.opalcamera.test.DeviceService/EventStream"


def credentials(papers: Papers, device_id: str | None = None) -> grpc.ChannelCredentials:
    ca = papers.certs.ca.read_bytes()
    if device_id is None:
        return grpc.ssl_channel_credentials(ca)
    pair = papers.certs.devices[device_id]
    return grpc.ssl_channel_credentials(ca, pair.key.read_bytes(), pair.cert.read_bytes())


def press_once(port: int, secret: grpc.ChannelCredentials | None, **metadata: str) -> Any:
    """Press Mode: True if that is acknowledged, else the status of the call."""
    target = f"localhost:{port}"
    opened = grpc.secure_channel(target, secret) if secret else grpc.insecure_channel(target)
    with opened as channel:
        events = channel.stream_stream(
            EVENTS,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=DeviceEventResponse.FromString,
        )
        replies = events(_once(), metadata=list(metadata.items()), timeout=10)
        try:
            return next(replies).ack
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]


def _once() -> Iterator[Any]:
    yield MODE


async def ask(port: int, secret: grpc.ChannelCredentials | None = None, **metadata: str) -> Any:
    return await trio.to_thread.run_sync(lambda: press_once(port, secret, **metadata))


@pytest.mark.parametrize("folder", ["papers", "strange"])
async def test_tls(folder, settings, request) -> None:
    expected = {"papers": True, "strange": grpc.StatusCode.UNAVAILABLE}[folder]
    async with serving(settings(tls=True)) as server:
        secret = credentials(request.getfixturevalue(folder))
        assert await ask(server.port, secret, device_id=KITCHEN) == expected


async def test_mutual_tls(settings, papers) -> None:
    async with serving(settings(mutual=True)) as server:
        mine = credentials(papers, KITCHEN)
        assert await ask(server.port, mine, device_id=KITCHEN) is True
        denied = await ask(server.port, mine, device_id=HALL)
        assert denied is grpc.StatusCode.PERMISSION_DENIED
        nobody = await ask(server.port, credentials(papers), device_id=KITCHEN)
        assert nobody is grpc.StatusCode.UNAVAILABLE


async def test_tokens(settings, papers, tmp_path) -> None:
    token = enroll(tmp_path / "data" / TOKENS_FILE, KITCHEN)
    secret = credentials(papers)
    async with serving(settings(tls=True, tokens="required")) as server:
        bearer = {"device_id": KITCHEN, "authorization": f"Bearer {token}"}
        assert await ask(server.port, secret, **bearer) is True
        wrong = await ask(server.port, secret, device_id=HALL, authorization=f"Bearer {token}")
        assert wrong is grpc.StatusCode.UNAUTHENTICATED
        none = await ask(server.port, secret, device_id=KITCHEN)
        assert none is grpc.StatusCode.UNAUTHENTICATED


async def test_token_credentials_of_grpcs_own(settings, papers, tmp_path) -> None:
    """What gRPC calls access token credentials is the same header."""
    token = enroll(tmp_path / "data" / TOKENS_FILE, KITCHEN)
    both = grpc.composite_channel_credentials(
        credentials(papers), grpc.access_token_call_credentials(token)
    )
    async with serving(settings(tls=True, tokens="required")) as server:
        assert await ask(server.port, both, device_id=KITCHEN) is True
