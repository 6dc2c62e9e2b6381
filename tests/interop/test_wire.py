"""The wire is as the device contract has it (section 1): names, numbers and types."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from audio_server.settings import Settings
from audio_server.wire import comms_pb2
from audio_server.wire.comms_pb2 import RGBAColor

PACKAGE = "com.opalcamera.test"
SCALARS = {
    FieldDescriptor.TYPE_FIXED32: "fixed32",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
}
LEDS = {f"led_{n}": (n + 1, "RGBAColor") for n in range(6)}
BUTTONS = {f"button_{n}": (n + 6, "ButtonStatus") for n in range(1, 5)}

MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "RGBAColor": {"rgba": (1, "fixed32")},
    "DeviceStatus": {**LEDS, **BUTTONS, "battery_level": (11, "float")},
    "DeviceStatusSet": LEDS,
    "DeviceStatusRequest": {"get": (1, "bool"), "set": (2, "DeviceStatusSet")},
    "DeviceStatusResponse": {"state": (1, "DeviceStatus"), "status": (2, "string")},
    "ButtonEvent": {"button_id": (1, "ButtonId"), "event": (2, "ButtonEventType")},
    "DeviceEvent": {"button_event": (1, "ButtonEvent")},
    "DeviceEventResponse": {"ack": (1, "bool")},
    "AudioStreamRequest": {"start": (1, "bool")},
    "AudioPacket": {"is_start": (1, "bool"), "is_end": (2, "bool"), "data": (3, "bytes")},
}
ONEOFS = {
    "DeviceStatusRequest": {"request": ["get", "set"]},
    "DeviceStatusResponse": {"response": ["state", "status"]},
    "DeviceEvent": {"event": ["button_event"]},
}
ENUMS = {
    "ButtonStatus": {"PRESSED": 0, "RELEASED": 1},
    "ButtonId": {"BUTTON_1": 0, "BUTTON_2": 1, "BUTTON_3": 2, "BUTTON_4": 3},
    "ButtonEventType": {"PRESS": 0, "HOLD": 1, "RELEASE": 2},
}
METHODS = {
    "StatusStream": ("DeviceStatusResponse", True, "DeviceStatusRequest", True),
    "EventStream": ("DeviceEvent", True, "DeviceEventResponse", True),
    "ServerAudioStream": ("AudioStreamRequest", False, "AudioPacket", True),
}


def type_of(field: FieldDescriptor) -> str:
    """The type of a field, as it is written in a `.proto` file."""
    named = field.message_type or field.enum_type
    return str(named.name) if named else SCALARS[field.type]


def messages() -> dict[str, Descriptor]:
    return dict(comms_pb2.DESCRIPTOR.message_types_by_name)


def test_messages_have_the_fields_of_the_contract() -> None:
    assert comms_pb2.DESCRIPTOR.package == PACKAGE
    found = {
        name: {field.name: (field.number, type_of(field)) for field in message.fields}
        for name, message in messages().items()
    }
    assert found == MESSAGES


def test_what_excludes_each_other_is_a_oneof() -> None:
    found = {
        name: {oneof.name: [field.name for field in oneof.fields] for oneof in message.oneofs}
        for name, message in messages().items()
        if message.oneofs
    }
    assert found == ONEOFS


def test_enums_have_the_numbers_of_the_contract() -> None:
    found = {
        enum.name: {value.name: value.number for value in enum.values}
        for message in messages().values()
        for enum in message.enum_types
    }
    assert found == ENUMS


def test_methods_have_the_streams_of_the_contract() -> None:
    service = comms_pb2.DESCRIPTOR.services_by_name["DeviceService"]
    found = {
        method.name: (
            method.input_type.name,
            method.client_streaming,
            method.output_type.name,
            method.server_streaming,
        )
        for method in service.methods
    }
    assert found == METHODS


def test_a_colour_is_four_bytes_red_first_in_its_number() -> None:
    """`0xRRGGBBAA`, and a fixed32 is little-endian on the wire."""
    assert RGBAColor(rgba=0x11223344).SerializeToString() == bytes.fromhex("0d44332211")


def test_the_default_port() -> None:
    assert Settings().port == 50051
