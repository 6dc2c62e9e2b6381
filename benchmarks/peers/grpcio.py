"""The registration that `grpc_tools` would generate for `DeviceService`, for both grpcio peers."""

from __future__ import annotations

from typing import Any

import grpc

from audio_server.wire import comms_pb2


def add_device_service(servicer: Any, server: Any) -> None:
    """Make the servicer's three methods the server's."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "StatusStream": grpc.stream_stream_rpc_method_handler(
            servicer.StatusStream,
            request_deserializer=comms_pb2.DeviceStatusResponse.FromString,
            response_serializer=comms_pb2.DeviceStatusRequest.SerializeToString,
        ),
        "EventStream": grpc.stream_stream_rpc_method_handler(
            servicer.EventStream,
            request_deserializer=comms_pb2.DeviceEvent.FromString,
            response_serializer=comms_pb2.DeviceEventResponse.SerializeToString,
        ),
        "ServerAudioStream": grpc.unary_stream_rpc_method_handler(
            servicer.ServerAudioStream,
            request_deserializer=comms_pb2.AudioStreamRequest.FromString,
            response_serializer=comms_pb2.AudioPacket.SerializeToString,
        ),
    }
    name = "com.opalcamera.test.DeviceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


def device_id(context: Any) -> str:
    """The metadata key that names the device."""
    return str(dict(context.invocation_metadata())["device_id"])
