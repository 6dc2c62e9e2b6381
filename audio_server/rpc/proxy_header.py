"""The header of the PROXY protocol, in which a proxy for TCP names the client of a connection.

Specification: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. Version 2 is binary, and
HAProxy, Envoy and clouds send it. Version 1 is one line of text, and all that the `stream` module
of nginx 1.22 can send, so both are read; the first bytes tell which one it is.

Extensions of version 2 (TLVs) are skipped. A proxy that speaks for itself (LOCAL, as in health
checks of HAProxy) or names no TCP address (UNKNOWN, UNSPEC, Unix sockets) leaves the connection
its own address.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""The first bytes of version 2; no HTTP and no TLS begins so."""

LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
"""A whole header of a client that speaks for itself."""

MOST_BYTES = 4096
"""The longest header of version 2. Addresses need 36 bytes, the rest are extensions, such as the
name of a client's certificate."""

LINE_MOST_BYTES = 107
"""The longest line of version 1, by its specification."""

_LINE = b"PROXY "
_FIXED_BYTES = 16  # signature, command, family, length

_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESS_BYTES = {_UNSPEC: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}

ClientAddress = tuple[str, int]
"""Host and port."""


class ProxyHeaderError(Exception):
    """The peer sent no header, or a bad one; the text is one of a few fixed ones."""


class HeaderParser:
    """Reads one header from bytes that come in any parts, and no byte beyond its end."""

    def __init__(self) -> None:
        self._held = b""
        self.is_complete = False
        self.client: ClientAddress | None = None
        """The client once the header is complete; None where it names none."""

    def take(self, data: bytes) -> int:
        """Return how many bytes at the start of `data` belong to the header.

        Raises `ProxyHeaderError` as soon as it can be no good header.
        """
        before = len(self._held)
        held = self._held + data
        end = _end_of(held)
        if end is None or end > len(held):
            self._held = held
            return len(data)
        self._held = held[:end]
        self.client = _client_of(self._held)
        self.is_complete = True
        return end - before


def _end_of(held: bytes) -> int | None:
    """The length of the header of which `held` is the beginning; None where that is still open,
    and then all of `held` is the header's."""
    if _begins_as(held, SIGNATURE):
        if len(held) < _FIXED_BYTES:
            return None
        size = _FIXED_BYTES + int.from_bytes(held[14:16], "big")
        if size > MOST_BYTES:
            raise ProxyHeaderError("the header is too long")
        return size
    if not _begins_as(held, _LINE):
        raise ProxyHeaderError("no PROXY header")
    end = held.find(b"\r\n", 0, LINE_MOST_BYTES)
    if end < 0 and len(held) >= LINE_MOST_BYTES:
        raise ProxyHeaderError("the header is too long")
    return None if end < 0 else end + 2


def _begins_as(held: bytes, start: bytes) -> bool:
    """Whether the bytes begin with `start`, as far as they go."""
    return held[: len(start)] == start[: len(held)]


def _client_of(header: bytes) -> ClientAddress | None:
    if header.startswith(SIGNATURE):
        return _client_of_binary(header[12], header[13], header[_FIXED_BYTES:])
    return _client_of_line(header[:-2])


def _client_of_binary(command: int, family: int, rest: bytes) -> ClientAddress | None:
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("unknown version or command")
    if command == _LOCAL:
        return None
    if family not in _ADDRESS_BYTES:
        raise ProxyHeaderError("unknown kind of address")
    if len(rest) < _ADDRESS_BYTES[family]:
        raise ProxyHeaderError("the header is too short")
    if family == _TCP4:
        return str(IPv4Address(rest[:4])), int.from_bytes(rest[8:10], "big")
    if family == _TCP6:
        return _text(IPv6Address(rest[:16])), int.from_bytes(rest[32:34], "big")
    return None


def _client_of_line(line: bytes) -> ClientAddress | None:
    match line.split(b" "):
        case [_, b"UNKNOWN", *_]:
            return None
        case [_, (b"TCP4" | b"TCP6") as family, source, target, port, target_port]:
            _port(target_port)
            _host(family, target)
            return _host(family, source), _port(port)
    raise ProxyHeaderError("the line is malformed")


def _host(family: bytes, text: bytes) -> str:
    try:
        if family == b"TCP4":
            return str(IPv4Address(text.decode("ascii")))
        address = IPv6Address(text.decode("ascii"))
    except (AddressValueError, UnicodeDecodeError):
        raise ProxyHeaderError("the line is malformed") from None
    if address.scope_id is not None:
        raise ProxyHeaderError("the line is malformed")
    return _text(address)


def _text(address: IPv6Address) -> str:
    """As a socket that listens to IPv4 shows its peers."""
    return str(address.ipv4_mapped or address)


def _port(text: bytes) -> int:
    if not (text.isdigit() and len(text) <= 5 and int(text) <= 0xFFFF):
        raise ProxyHeaderError("the line is malformed")
    return int(text)
