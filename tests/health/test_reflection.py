"""Server reflection: a client that knows nothing of the service finds it, and calls it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpclib.reflection.v1 import reflection_pb2 as v1
from grpclib.reflection.v1alpha import reflection_pb2 as v1alpha
from probed import probed, stream

DEVICES = "com.opalcamera.test.DeviceService"
HEALTH = "grpc.health.v1.Health"
COMMS = "audio_server/wire/comms.proto"
HEALTHS = "grpclib/health/v1/health.proto"
NOT_FOUND = 5

VERSIONS = pytest.mark.parametrize(
    ("version", "messages"), [("v1", v1), ("v1alpha", v1alpha)], ids=["v1", "v1alpha"]
)


class Reflected:
    """The descriptors that a server gives, asked for as a client comes to need them."""

    def __init__(self, channel: grpc.Channel, version: str, messages: ModuleType) -> None:
        self._path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        self._channel = channel
        self._messages: Any = messages
        self.pool = DescriptorPool()
        self._files: set[str] = set()

    def ask(self, **question: str) -> Any:
        request = self._messages.ServerReflectionRequest(**question)
        reply = self._messages.ServerReflectionResponse.FromString
        (answer,) = stream(self._channel, self._path, [request], reply)
        return answer

    def services(self) -> list[str]:
        answer = self.ask(list_services="").list_services_response
        return [service.name for service in answer.service]

    def learn(self, **question: str) -> None:
        """Take in the file that has something, and first what it depends on."""
        answer = self.ask(**question).file_descriptor_response
        for data in answer.file_descriptor_proto:
            file = FileDescriptorProto.FromString(data)
            if file.name not in self._files:
                self._files.add(file.name)
                for needed in file.dependency:
                    self.learn(file_by_filename=needed)
                self.pool.Add(file)


@VERSIONS
async def test_services_are_listed(version, messages, tmp_path) -> None:
    async with probed(tmp_path) as server:
        names = await server.ask(lambda channel: Reflected(channel, version, messages).services())
    assert names == [DEVICES, HEALTH]


@VERSIONS
async def test_a_stranger_presses_mode(version, messages, tmp_path) -> None:
    """All that it is told beforehand is where the server is, and what its method is called."""

    def press(channel: grpc.Channel) -> Any:
        reflected = Reflected(channel, version, messages)
        reflected.learn(file_containing_symbol=DEVICES)
        method = reflected.pool.FindServiceByName(DEVICES).methods_by_name["EventStream"]
        request, reply = map(GetMessageClass, (method.input_type, method.output_type))
        events = [request(button_event={"button_id": "BUTTON_2"})]
        path = f"/{DEVICES}/{method.name}"
        return next(_calling(channel, path, events, reply)).ack

    async with probed(tmp_path) as server:
        assert await server.ask(press) is True


def _calling(channel: grpc.Channel, path: str, events: Any, reply: Any) -> Iterator[Any]:
    yield from stream(channel, path, events, reply.FromString, device_id="grpcurl")


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        (DEVICES, COMMS),
        (f"{DEVICES}.EventStream", COMMS),
        ("com.opalcamera.test.ButtonEvent.ButtonId", COMMS),
        (f"{HEALTH}.Check", HEALTHS),
        ("grpc.health.v1.HealthCheckResponse", HEALTHS),
    ],
)
async def test_symbols_are_found(symbol, file, tmp_path) -> None:
    def find(channel: grpc.Channel) -> list[str]:
        reflected = Reflected(channel, "v1", v1)
        questions = [{"file_containing_symbol": symbol}, {"file_by_filename": file}]
        answers = [reflected.ask(**question).file_descriptor_response for question in questions]
        return [FileDescriptorProto.FromString(a.file_descriptor_proto[0]).name for a in answers]

    async with probed(tmp_path) as server:
        assert await server.ask(find) == [file, file]


async def test_what_is_not_there(tmp_path) -> None:
    questions = [
        {"file_containing_symbol": "no.Such"},
        {"file_containing_symbol": f"{DEVICES}.NoSuch"},
        {"file_by_filename": "no_such.proto"},
    ]

    def ask(channel: grpc.Channel) -> list[int]:
        reflected = Reflected(channel, "v1", v1)
        return [reflected.ask(**question).error_response.error_code for question in questions]

    async with probed(tmp_path) as server:
        assert await server.ask(ask) == [NOT_FOUND] * 3
