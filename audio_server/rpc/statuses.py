"""gRPC statuses for calls that end without one.

Sources: "gRPC over HTTP2" (section "Errors") and "HTTP to gRPC Status Code Mapping".
"""

from __future__ import annotations

from grpclib.const import Status
from h2.errors import ErrorCodes

_OF_RESET = {
    ErrorCodes.REFUSED_STREAM: Status.UNAVAILABLE,
    ErrorCodes.CANCEL: Status.CANCELLED,
    ErrorCodes.ENHANCE_YOUR_CALM: Status.RESOURCE_EXHAUSTED,
    ErrorCodes.INADEQUATE_SECURITY: Status.PERMISSION_DENIED,
}
_OF_HTTP = {
    b"400": Status.INTERNAL,
    b"401": Status.UNAUTHENTICATED,
    b"403": Status.PERMISSION_DENIED,
    b"404": Status.UNIMPLEMENTED,
    b"429": Status.UNAVAILABLE,
    b"502": Status.UNAVAILABLE,
    b"503": Status.UNAVAILABLE,
    b"504": Status.UNAVAILABLE,
}


def status_of_reset(code: int | None) -> Status:
    """The status of a call that the server has reset."""
    return _OF_RESET.get(code, Status.INTERNAL)  # type: ignore[call-overload,no-any-return]


def status_of_http(http_status: bytes) -> Status:
    """The status of a call that was answered with HTTP's status alone."""
    return _OF_HTTP.get(http_status, Status.UNKNOWN)
