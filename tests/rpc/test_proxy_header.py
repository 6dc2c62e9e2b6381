"""The header of the PROXY protocol, in all forms, in any parts, and with any bytes in its place."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audio_server.rpc.proxy_header import (
    LINE_MOST_BYTES,
    LOCAL,
    MOST_BYTES,
    SIGNATURE,
    HeaderParser,
    ProxyHeaderError,
)

V4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack("!HH", 40_000, 50_051)
V6 = bytes.fromhex("20010db8" + "00" * 11 + "07" + "fd" + "00" * 14 + "01") + V4[-4:]


def binary(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(rest)) + rest


def parsed(header: bytes) -> tuple[str, int] | None:
    """The client of a whole header."""
    parser = HeaderParser()
    assert parser.take(header) == len(header)
    assert parser.is_complete
    return parser.client


def refusal_of(data: bytes) -> str:
    with pytest.raises(ProxyHeaderError) as refused:
        HeaderParser().take(data)
    return str(refused.value)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (binary(0x21, 0x11, V4), ("192.0.2.7", 40_000)),
        (binary(0x21, 0x11, V4 + b"\x03\x00\x04abcd"), ("192.0.2.7", 40_000)),
        (binary(0x21, 0x21, V6), ("2001:db8::7", 40_000)),
        (binary(0x21, 0x21, b"\0" * 10 + b"\xff\xff" + V4[:4] + V6[16:]), ("192.0.2.7", 40_000)),
        (binary(0x21, 0x31, b"/x".ljust(216, b"\0")), None),
        (binary(0x21, 0x00, b""), None),
        (binary(0x21, 0x00, V4), None),
        (LOCAL, None),
        (binary(0x20, 0x11, V4), None),
        (binary(0x20, 0xFF, b"anything"), None),
        (binary(0x21, 0x11, V4.ljust(MOST_BYTES - 16)), ("192.0.2.7", 40_000)),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 50051\r\n", ("192.0.2.7", 40_000)),
        (b"PROXY TCP6 2001:db8::7 fd00::1 40000 50051\r\n", ("2001:db8::7", 40_000)),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 40000 1\r\n", ("192.0.2.7", 40_000)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:f...f:ffff 65535 \xff\r\n", None),
        (b"PROXY UNKNOWN ".ljust(LINE_MOST_BYTES - 2, b"x") + b"\r\n", None),
    ],
)
def test_clients_are_named(header: bytes, client: tuple[str, int] | None) -> None:
    assert parsed(header) == client


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no PROXY header"),
        (b"\x16\x03\x01", "no PROXY header"),
        (b"\r\n\r\n\x00\r\nQUIET", "no PROXY header"),
        (b"PROXZ", "no PROXY header"),
        (binary(0x11, 0x11, V4), "unknown version or command"),
        (binary(0x22, 0x11, V4), "unknown version or command"),
        (binary(0x21, 0x12, V4), "unknown kind of address"),
        (binary(0x21, 0x22, V6), "unknown kind of address"),
        (binary(0x21, 0x41, V4), "unknown kind of address"),
        (binary(0x21, 0x11, V4[:11]), "the header is too short"),
        (binary(0x21, 0x21, V6[:35]), "the header is too short"),
        (binary(0x21, 0x31, b"/x"), "the header is too short"),
        (SIGNATURE + b"\x21\x11\xff\xff", "the header is too long"),
        (binary(0x21, 0x11, V4.ljust(MOST_BYTES - 15)), "the header is too long"),
        (b"PROXY UNKNOWN ".ljust(LINE_MOST_BYTES, b"x"), "the header is too long"),
        (b"PROXY UNKNOWN ".ljust(LINE_MOST_BYTES - 1, b"x") + b"\r\n", "the header is too long"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 50051\n" + b"x" * 80, "the header is too long"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000\r\n", "the line is malformed"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 50051 1\r\n", "the line is malformed"),
        (b"PROXY  TCP4 192.0.2.7 10.0.0.1 40000 50051\r\n", "the line is malformed"),
        (b"PROXY TCP4 2001:db8::7 fd00::1 40000 50051\r\n", "the line is malformed"),
        (b"PROXY TCP6 192.0.2.7 10.0.0.1 40000 50051\r\n", "the line is malformed"),
        (b"PROXY TCP6 fe80::1%eth0 fe80::2 40000 50051\r\n", "the line is malformed"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 50051\r\n", "the line is malformed"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 -1\r\n", "the line is malformed"),
        (b"PROXY TCP4 192.0.2.\xb2 10.0.0.1 40000 50051\r\n", "the line is malformed"),
        (b"PROXY UDP4 192.0.2.7 10.0.0.1 40000 50051\r\n", "the line is malformed"),
        (b"PROXY \r\n", "the line is malformed"),
    ],
)
def test_bad_headers_are_refused(data: bytes, reason: str) -> None:
    assert refusal_of(data) == reason


@pytest.mark.parametrize("start", [SIGNATURE, b"PROXY "])
def test_a_wrong_byte_is_noticed_as_it_comes(start: bytes) -> None:
    """So that a client that comes directly need not be waited for."""
    for size in range(len(start)):
        parser = HeaderParser()
        if size:
            assert parser.take(start[:size]) == size
        with pytest.raises(ProxyHeaderError, match="no PROXY header"):
            parser.take(b"!")


def taken(parser: HeaderParser, data: bytes, cuts: list[int]) -> int:
    """Feed bytes in parts until the header ends; how many were the header's."""
    read = 0
    for size in [*cuts, len(data)]:
        while read < len(data) and not parser.is_complete:
            part = data[read : read + max(size, 1)]
            used = parser.take(part)
            assert used == len(part) or parser.is_complete
            read += used
            if size != len(data):
                break
    return read


HOSTS = st.ip_addresses()
PORTS = st.integers(0, 0xFFFF)
CUTS = st.lists(st.integers(1, 40), max_size=12)


def encoded(host: str, port: int, extensions: bytes, *, is_line: bool) -> bytes:
    address = ip_address(host)
    if is_line:
        return f"PROXY TCP{address.version} {host} {host} {port} 50051\r\n".encode()
    family = 0x11 if address.version == 4 else 0x21
    ports = struct.pack("!HH", port, 50_051)
    return binary(0x21, family, address.packed * 2 + ports + extensions)


@given(HOSTS, PORTS, st.binary(max_size=300), st.booleans(), st.binary(max_size=60), CUTS)
def test_a_header_in_any_parts_ends_where_it_ends(
    host: object, port: int, extensions: bytes, is_line: bool, after: bytes, cuts: list[int]
) -> None:
    header = encoded(str(host), port, extensions, is_line=is_line)
    parser = HeaderParser()
    assert taken(parser, header + after, cuts) == len(header)
    assert parser.client is not None
    named = ip_address(str(host))
    assert ip_address(parser.client[0]) == (getattr(named, "ipv4_mapped", None) or named)
    assert parser.client[1] == port


STARTS = st.sampled_from([b"", SIGNATURE, SIGNATURE + b"\x21\x11", b"PROXY ", b"PROXY TCP4 "])


@given(STARTS, st.binary(max_size=200), CUTS)
@example(SIGNATURE, b"\x21\x11\x00\x0c", [1])
@example(b"PROXY ", b"UNKNOWN\r" * 3, [7])
def test_any_bytes_are_a_header_or_refused(start: bytes, rest: bytes, cuts: list[int]) -> None:
    """The result does not depend on the parts, and no more is held than the longest header."""
    results = []
    for parts in (cuts, [], [1] * len(start + rest)):
        parser = HeaderParser()
        try:
            size = taken(parser, start + rest, parts)
            results.append((size, parser.is_complete, parser.client))
        except ProxyHeaderError as error:
            results.append(str(error))
        assert len(parser._held) <= MOST_BYTES
    assert results[0] == results[1] == results[2]
