"""What both grpcio peers share: their port, and the code that `grpc_tools` would generate."""

from __future__ import annotations

from typing import Any

import grpc

from audio_server.wire import comms_pb2
from benchmarks.peers.common import Options


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


def add_port(server: Any, options: Options) -> int:
    """Let the server listen, over TLS if it has a certificate; returns the port."""
    if options.tls is None:
        return int(server.add_insecure_port("127.0.0.1:0"))
    key, cert = (path.read_bytes() for path in options.tls)
    credentials = grpc.ssl_server_credentials([(key, cert)])
    return int(server.add_secure_port("127.0.0.1:0", credentials))


def device_id(context: Any) -> str:
    """The metadata key that names the device."""
    return str(dict(context.invocation_metadata())["device_id"])
