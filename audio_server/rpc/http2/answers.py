"""Header lists of answers."""

from __future__ import annotations

from collections.abc import Iterable

from hpack import Encoder, HeaderTuple, NeverIndexedHeaderTuple

_FIELD_BYTES = 32
"""Overhead of each header in a header list (RFC 9113 section 6.5.2)."""

ACCEPTED = Encoder().encode(
    [
        HeaderTuple(":status", "200"),
        NeverIndexedHeaderTuple("content-type", "application/grpc+proto"),
    ]
)
"""The block that every gRPC answer begins with; it refers to no dynamic table entry."""


def list_bytes(headers: Iterable[tuple[str, str]]) -> int:
    """Return the size of a header list, as SETTINGS_MAX_HEADER_LIST_SIZE counts it."""
    return sum(len(name) + len(value) + _FIELD_BYTES for name, value in headers)
