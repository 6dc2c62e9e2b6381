"""Calls that a device may not make, as gRPC's C core sees them answered."""

from __future__ import annotations

import queue
import string
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from house import MakeDevice, wait_shown
from server_process import ServerProcess
from stock_device import StockDevice
from stock_session import SERVICE, method, open_channel

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import Call
from audio_server.wire.comms_pb2 import AudioStreamRequest

WITHIN_S = 30.0
"""No call here may be open for ever; this shows up as DEADLINE_EXCEEDED."""

Metadata = list[tuple[str, str]]

BAD_METADATA: dict[str, Metadata] = {
    "missing": [],
    "twice": [("device_id", "one"), ("device_id", "two")],
    "twice the same": [("device_id", "one"), ("device_id", "one")],
    "empty": [("device_id", "")],
    "too long": [("device_id", "x" * 65)],
    "a blank": [("device_id", "a b")],
    "a slash": [("device_id", "a/b")],
    "a comma": [("device_id", "a,b")],
    "another key": [("device.id", "one")],
    "both keys": [("device_id", "one"), ("device-id", "one")],
}


@pytest.fixture
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with open_channel(server.target) as channel:
        yield channel


def status_of(channel: grpc.Channel, call: Call, metadata: Metadata) -> grpc.StatusCode:
    """The status of a call to which nothing is said (but for a request that there must be)."""
    request = AudioStreamRequest(start=True) if call is Call.AUDIO else iter(())
    return ended(method(channel, call)(request, metadata=metadata, timeout=WITHIN_S))


def ended(stream: Any) -> grpc.StatusCode:
    """The status with which a call ends; answers before it are dropped."""
    with pytest.raises(grpc.RpcError):
        for _ in stream:
            pass
    code: grpc.StatusCode = stream.code()
    return code


@pytest.mark.parametrize("call", list(Call))
@pytest.mark.parametrize("metadata", BAD_METADATA.values(), ids=BAD_METADATA)
def test_a_device_id_is_one_word_of_64_characters(
    channel: grpc.Channel, call: Call, metadata: Metadata
) -> None:
    assert status_of(channel, call, metadata) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("device_id", ["x" * 64, ".", string.ascii_letters, "0:1._-9"])
def test_every_character_that_is_allowed_is(make_device: MakeDevice, device_id: str) -> None:
    device = make_device(device_id)
    device.switch_on()
    device.press(Button.MODE)
    device.wait_answered()
    wait_shown(device, 1)


@pytest.mark.parametrize("path", [SERVICE + "Reboot", "/com.example.Other/StatusStream", "/"])
def test_a_method_that_is_not_there(channel: grpc.Channel, path: str) -> None:
    call: Any = channel.stream_stream(path)
    assert ended(call(iter(()), timeout=WITHIN_S)) is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("call", list(Call))
def test_a_deadline_ends_its_call_alone(device: StockDevice, call: Call) -> None:
    device.wait(lambda: device.frames)
    says_nothing: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with open_channel(device.target) as channel:
        silence = iter(says_nothing.get, None)
        request = AudioStreamRequest(start=True) if call is Call.AUDIO else silence
        metadata = [("device_id", f"{device.id}-hurried")]
        stream = method(channel, call)(request, metadata=metadata, timeout=0.2)
        assert ended(stream) is grpc.StatusCode.DEADLINE_EXCEEDED
    says_nothing.put(None)
    assert device.ended == {}


def test_what_is_no_message_ends_its_call_alone(device: StockDevice) -> None:
    device.wait(lambda: device.frames)
    assert raw_event(device, b"\xff\xff\xff") is grpc.StatusCode.INTERNAL
    assert device.ended == {}


def test_a_message_that_is_too_large_ends_its_call_alone(device: StockDevice) -> None:
    device.wait(lambda: device.frames)
    assert raw_event(device, bytes(100_000)) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert device.ended == {}


def raw_event(device: StockDevice, data: bytes) -> grpc.StatusCode:
    """Send bytes as an event, in the name of another device."""
    with open_channel(device.target) as channel:
        call: Any = channel.stream_stream(SERVICE + Call.EVENTS.value)
        metadata = [("device_id", f"{device.id}-confused")]
        return ended(call(iter([data]), metadata=metadata, timeout=WITHIN_S))


def test_a_compressed_message_is_refused_in_words(device: StockDevice) -> None:
    """No compression is offered; a device that insists hears so."""
    with open_channel(device.target) as channel:
        request = AudioStreamRequest(start=True)
        metadata = [("device_id", f"{device.id}-squeezed")]
        stream = method(channel, Call.AUDIO)(
            request, metadata=metadata, timeout=WITHIN_S, compression=grpc.Compression.Gzip
        )
        assert ended(stream) is grpc.StatusCode.UNIMPLEMENTED
