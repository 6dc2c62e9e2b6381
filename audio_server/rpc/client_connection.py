"""The client's end of a connection: it opens the calls."""

from __future__ import annotations

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from audio_server.rpc.connection import Connection
from audio_server.rpc.headers import CONTENT_TYPE
from audio_server.rpc.http2.frames import Frame, goaway_words
from audio_server.rpc.limits import Limits
from audio_server.rpc.statuses import status_of_http, status_of_reset
from audio_server.rpc.stream import RpcStream

NO_GREETING = "no gRPC server is there, or one that asks for TLS or a certificate"


class ClientConnection(Connection):
    """One connection to a server; it opens the calls."""

    __slots__ = ("last_welcome_id",)

    client_side = True

    def __init__(self, transport: trio.abc.Stream, *, limits: Limits) -> None:
        super().__init__(transport, limits=limits)
        self.last_welcome_id: int | None = None

    def open(self, headers: list[tuple[str, str]]) -> RpcStream:
        """Begin a call.

        Raises `GRPCError`: UNAVAILABLE where the server takes no more calls, RESOURCE_EXHAUSTED
        where it takes no metadata of this size.
        """
        if self.last_welcome_id is not None or self._intake.is_finished:
            raise GRPCError(Status.UNAVAILABLE, "the connection is closing")
        if not self.http2.takes_header_list(headers):
            reason = "the metadata is larger than the server takes"
            raise GRPCError(Status.RESOURCE_EXHAUSTED, reason)
        try:
            stream_id = self.http2.open_stream(headers)
        except ProtocolError:
            # As many calls as the server allows are open, or the server broke the protocol.
            reason = "the server takes no more calls on this connection"
            raise GRPCError(Status.UNAVAILABLE, reason) from None
        stream = self.streams[stream_id] = RpcStream(self, stream_id)
        self.flush_soon()
        return stream

    def on_event(self, event: events.Event, calls: trio.Nursery) -> None:
        """Take the headers of an answer, or its trailers."""
        match event:
            case events.ResponseReceived():
                if stream := self.streams.get(event.stream_id):
                    stream.headers = event.headers
                    stream.notify()
                    self._expect_grpc(stream, dict(event.headers))
            case events.TrailersReceived():
                if stream := self.streams.get(event.stream_id):
                    stream.trailers = event.headers

    def _expect_grpc(self, stream: RpcStream, headers: dict[bytes, bytes]) -> None:
        """Refuse the answer of a plain web server: it speaks HTTP/2 too, but no gRPC."""
        kind = headers.get(b"content-type", CONTENT_TYPE.encode())
        if not kind.startswith(CONTENT_TYPE.encode()):
            http_status = headers.get(b":status", b"")
            reason = f"the server speaks no gRPC (HTTP {http_status.decode('latin-1')})"
            stream.fail(GRPCError(status_of_http(http_status), reason))

    def on_reset(self, stream: RpcStream, event: events.StreamReset) -> None:
        """A reset after the status only says "stop sending"."""
        if not stream.remote_ended:
            reason = f"the server has reset the call ({event.error_code})"
            stream.fail(GRPCError(status_of_reset(event.error_code), reason))

    def _end_calls(self, failure: GRPCError) -> None:
        """The connection is over; a call that has its status keeps it."""
        self._intake.finish()
        if not self._intake.frames.settled:
            failure = GRPCError(failure.status, NO_GREETING)
        for stream in list(self.streams.values()):
            stream.drop()
            if not stream.remote_ended:
                stream.fail(failure)
            stream.notify()

    def on_bad_stream(self, stream: RpcStream, error: GRPCError) -> None:
        """End the call, at the server too."""
        super().on_bad_stream(stream, error)
        stream.reset_nowait(ErrorCodes.CANCEL)

    def on_goaway(self, frame: Frame) -> None:
        """Calls that the server will not answer end; the others go on."""
        super().on_goaway(frame)
        self.last_welcome_id = int.from_bytes(frame.payload[:4], "big") & 0x7FFFFFFF
        for stream in list(self.streams.values()):
            if stream.id > self.last_welcome_id:
                code, _ = goaway_words(frame)
                reason = "the server is going away" + (f" ({code})" if code else "")
                stream.fail(GRPCError(Status.UNAVAILABLE, reason))
