"""The headers of a request: checked as HTTP/2, checked as gRPC, and read.

Statuses follow the gRPC documents: "gRPC over HTTP2", "Compression", "HTTP to gRPC Status
Code Mapping"; faults of HTTP/2 itself follow RFC 9113 sections 8.1.1 and 8.2.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from grpclib.const import Status
from grpclib.metadata import _Metadata, decode_timeout, encode_grpc_message
from multidict import MultiDict

from audio_server.rpc.errors import MalformedRequestError, RefusedRequestError
from audio_server.rpc.limits import Limits

RawHeader = tuple[bytes, bytes]
RawHeaders = list[RawHeader]

CONTENT_TYPE = "application/grpc"
_PSEUDO = {b":method", b":scheme", b":path", b":authority"}
_REQUIRED_PSEUDO = {b":method", b":scheme", b":path"}
_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
_NOT_METADATA = {b"te", b"content-type", b"user-agent", b"content-length", b"host"}
_STOCK_FIELDS = 16
_STOCK_BYTES = 1024
"""Requests of stock clients are smaller; fewer fields than any limit."""
_NAME = re.compile(rb"[0-9a-z_.\-]+")
_VALUE = re.compile(rb"[^\x00\r\n]*")
_CONTENT_TYPE = re.compile(r"application/grpc([+;].*)?")
_TIMEOUT = re.compile(r"[0-9]{1,8}[HMSmun]")


@dataclass(frozen=True, slots=True)
class Request:
    """A request, checked."""

    path: str
    metadata: _Metadata
    deadline_s: float | None
    """Seconds from now (`grpc-timeout`); None for none."""
    user_agent: str | None


def parse_request(headers: RawHeaders, limits: Limits) -> Request:
    """Check a request's headers.

    Raises `MalformedRequestError` for headers that are no HTTP/2 request and `RefusedRequestError`
    for those that are no gRPC request; both are the client's fault and concern its stream alone.

    Fast path: the headers before the last one are the same for all devices of a fleet, so the
    outcome of their checks is kept, and the last one, which has the device's id, is checked alone.
    Invariant: the request is the one that all headers together give (a Hypothesis test).
    Benchmark: docs/performance.md, "Arrivals".
    """
    if headers and _size(headers) <= min(_STOCK_BYTES, limits.max_metadata_bytes):
        *others, last = headers
        if len(others) < _STOCK_FIELDS and _is_metadata(*last):
            stock = _parse_stock(tuple(others))
            metadata = stock.metadata.copy()
            metadata.add(last[0].decode("ascii"), _text(last[1]))
            return Request(stock.path, metadata, stock.deadline_s, stock.user_agent)
    return _parse(headers, limits)


@lru_cache(256)
def _parse_stock(headers: tuple[RawHeader, ...]) -> Request:
    return _parse(headers, None)


def _parse(headers: Sequence[RawHeader], limits: Limits | None) -> Request:
    fields = _fields(headers)
    _check_http(fields)
    _check_encoding(fields)
    if limits is not None:
        _check_size(headers, limits)
    return Request(
        path=_text(fields[b":path"]),
        metadata=_metadata(headers),
        deadline_s=_deadline_s(fields),
        user_agent=_text(fields[b"user-agent"]) if b"user-agent" in fields else None,
    )


def _is_metadata(name: bytes, value: bytes) -> bool:
    """Return whether a header is metadata in text, so that no check looks at others for it."""
    return (
        _NAME.fullmatch(name) is not None
        and _VALUE.fullmatch(value) is not None
        and name not in _CONNECTION
        and name not in _NOT_METADATA
        and not name.startswith(b"grpc-")
        and not name.endswith(b"-bin")
    )


def _size(headers: Sequence[RawHeader]) -> int:
    return sum([len(name) + len(value) for name, value in headers])


def _fields(headers: Sequence[RawHeader]) -> dict[bytes, bytes]:
    """All headers by name, once they are known to be well-formed."""
    fields: dict[bytes, bytes] = {}
    regular = False
    for name, value in headers:
        if name.startswith(b":"):
            if regular or name not in _PSEUDO or name in fields:
                raise MalformedRequestError("a pseudo-header is out of place", name)
        elif not _NAME.fullmatch(name) or name in _CONNECTION:
            raise MalformedRequestError("a header has a name that may not be", name)
        else:
            regular = True
        if not _VALUE.fullmatch(value):
            raise MalformedRequestError("a header has a value that may not be", name)
        fields[name] = value
    if missing := _REQUIRED_PSEUDO - fields.keys():
        raise MalformedRequestError("a pseudo-header is missing", sorted(missing)[0])
    if not fields[b":path"]:
        raise MalformedRequestError("an empty path")
    return fields


def _check_http(fields: dict[bytes, bytes]) -> None:
    if fields[b":method"] != b"POST":
        raise refusal(Status.INTERNAL, "the method of a gRPC request is POST", http_status=405)
    if fields[b":scheme"] not in (b"http", b"https"):
        raise refusal(Status.INTERNAL, "the scheme is not http or https")
    content_type = _text(fields.get(b"content-type", b""))
    if not _CONTENT_TYPE.fullmatch(content_type):
        reason = "content-type is not application/grpc"
        raise refusal(Status.UNKNOWN, reason, content_type, http_status=415)
    if fields.get(b"te") != b"trailers":
        raise refusal(Status.INTERNAL, "te is not trailers")


def _check_encoding(fields: dict[bytes, bytes]) -> None:
    encoding = fields.get(b"grpc-encoding", b"identity")
    if encoding != b"identity":
        error = refusal(Status.UNIMPLEMENTED, "grpc-encoding is not identity", encoding)
        error.headers.append(("grpc-accept-encoding", "identity"))
        raise error


def _check_size(headers: Sequence[RawHeader], limits: Limits) -> None:
    if len(headers) > limits.max_metadata_fields:
        reason = f"more than {limits.max_metadata_fields} header fields"
        raise refusal(Status.RESOURCE_EXHAUSTED, reason, str(len(headers)), kind="too_large")
    size = _size(headers)
    if size > limits.max_metadata_bytes:
        reason = f"more than {limits.max_metadata_bytes} bytes of metadata"
        raise refusal(Status.RESOURCE_EXHAUSTED, reason, str(size), kind="too_large")


def _deadline_s(fields: dict[bytes, bytes]) -> float | None:
    if b"grpc-timeout" not in fields:
        return None
    value = _text(fields[b"grpc-timeout"])
    if not _TIMEOUT.fullmatch(value):
        raise refusal(Status.INTERNAL, "grpc-timeout is not valid", value)
    return decode_timeout(value)


def _metadata(headers: Sequence[RawHeader]) -> _Metadata:
    metadata = cast(_Metadata, MultiDict())
    for name, value in headers:
        if name in _NOT_METADATA or name.startswith((b":", b"grpc-")):
            continue
        key = name.decode("ascii")
        if not key.endswith("-bin"):
            metadata.add(key, _text(value))
        else:
            for part in value.split(b","):  # repeated values may come joined
                metadata.add(key, _binary(key, part.strip()))
    return metadata


def _text(value: bytes) -> str:
    """Return a value as text: ASCII if it is valid, else a readable form for the checks."""
    return value.decode("latin-1")


def _binary(key: str, value: bytes) -> bytes:
    """Base64 with or without padding, as peers may send either."""
    digits = value.rstrip(b"=")
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        reason = "a value of binary metadata is not base64"
        raise refusal(Status.INTERNAL, reason, key) from None


def refusal(
    status: Status,
    reason: str,
    detail: str | bytes = "",
    *,
    http_status: int = 200,
    kind: str = "not_grpc",
) -> RefusedRequestError:
    """A refusal that is answered with trailers only: `reason`, a fixed phrase, is sent."""
    headers = [
        (":status", str(http_status)),
        ("content-type", CONTENT_TYPE),
        ("grpc-status", str(status.value)),
        ("grpc-message", encode_grpc_message(reason)),
    ]
    return RefusedRequestError(headers, f"{status.name}: {reason}", kind, detail)
