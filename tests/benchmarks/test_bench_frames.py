"""What the load side sends is what h2, and our protobuf, read."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest

from audio_server.wire.comms_pb2 import (
    AudioStreamRequest,
    ButtonEvent,
    DeviceEvent,
    DeviceStatus,
    DeviceStatusRequest,
    DeviceStatusResponse,
    DeviceStatusSet,
    RGBAColor,
)
from benchmarks.frames import (
    AUDIO,
    DARK,
    EVENTS,
    LEDS_TAKEN,
    PRESSES,
    SETTINGS_ACK,
    STATUS,
    Button,
    Kind,
    frame,
    opening,
    pong,
    state,
)

FRAME_BYTES, PREFIX_BYTES = 9, 5


def read_by_h2(data: bytes) -> list[h2.events.Event]:
    config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
    connection = h2.connection.H2Connection(config=config)
    connection.initiate_connection()
    return list(connection.receive_data(data))


def body(data: bytes) -> bytes:
    """The protobuf message of a frame that holds one gRPC message."""
    assert int.from_bytes(data[:3], "big") == len(data) - FRAME_BYTES
    grpc = data[FRAME_BYTES:]
    assert grpc[0] == 0
    assert int.from_bytes(grpc[1:PREFIX_BYTES], "big") == len(grpc) - PREFIX_BYTES
    return grpc[PREFIX_BYTES:]


def test_the_opening_makes_the_three_calls_of_a_device() -> None:
    events = read_by_h2(opening("dev-1", "127.0.0.1:50051"))
    calls = [event for event in events if isinstance(event, h2.events.RequestReceived)]
    assert [call.stream_id for call in calls] == [STATUS, EVENTS, AUDIO]
    headers = [{str(name): str(value) for name, value in call.headers} for call in calls]
    paths = [each[":path"].rpartition("/")[2] for each in headers]
    assert paths == ["StatusStream", "EventStream", "ServerAudioStream"]
    assert all(each["device_id"] == "dev-1" for each in headers)
    assert all(each["content-type"] == "application/grpc" for each in headers)


def test_the_opening_asks_for_audio_and_ends_that_call_alone() -> None:
    events = read_by_h2(opening("dev-1", "127.0.0.1:50051"))
    (data,) = [event for event in events if isinstance(event, h2.events.DataReceived)]
    assert AudioStreamRequest.FromString(data.data[PREFIX_BYTES:]).start
    ended = [event.stream_id for event in events if isinstance(event, h2.events.StreamEnded)]
    assert ended == [AUDIO]


def test_the_opening_opens_both_windows_to_their_largest() -> None:
    config = h2.config.H2Configuration(client_side=False)
    connection = h2.connection.H2Connection(config=config)
    connection.initiate_connection()
    connection.receive_data(opening("dev-1", "127.0.0.1:50051"))
    assert connection.outbound_flow_control_window == 2**31 - 1
    assert connection.local_flow_control_window(AUDIO) == 2**31 - 1


@pytest.mark.parametrize("button", Button)
def test_a_press_is_an_event_of_its_button(button: Button) -> None:
    event = DeviceEvent.FromString(body(PRESSES[button]))
    assert event.HasField("button_event")
    assert int(event.button_event.button_id) == int(button)
    assert event.button_event.event == ButtonEvent.PRESS


def test_answers_on_the_status_stream() -> None:
    assert DeviceStatusResponse.FromString(body(LEDS_TAKEN)).status == "success"
    assert DeviceStatusResponse.FromString(body(state(DARK))).HasField("state")
    leds = DeviceStatusSet(led_0=RGBAColor(rgba=1), led_5=RGBAColor(rgba=0xFF00FF80))
    asked = DeviceStatusRequest(set=leds).SerializeToString()
    told = DeviceStatusResponse.FromString(body(state(asked[1:]))).state
    assert told == DeviceStatus(led_0=leds.led_0, led_5=leds.led_5)


def test_control_frames() -> None:
    assert bytes.fromhex("000000040100000000") == SETTINGS_ACK
    assert pong(b"12345678") == bytes.fromhex("000008060100000000") + b"12345678"
    assert frame(Kind.DATA, 0, 5, b"x" * 70_000)[:3] == (70_000).to_bytes(3, "big")
