"""Ogg pages (RFC 3533), and Opus packets written as an Ogg Opus file (RFC 7845)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ

PRE_SKIP_SAMPLES = 312
"""The delay of libopus, which a player of files drops (a device does not)."""

CONTINUED, FIRST, LAST = 1, 2, 4
"""Flags of a page: it begins inside a packet; it begins, it ends a logical stream."""

_HEAD = struct.Struct("<4sBBqIIIB")
_CRC_AT = 22
_LACES_MAX = 255
_PAGE_MAX_BYTES = _HEAD.size + _LACES_MAX + _LACES_MAX * 255
_CHUNK_BYTES = 1 << 18
_TAIL_BYTES = 1 << 15
_PACKETS_A_PAGE = 50  # a second: the least that a player reads before it goes on
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """A page as it is in a file. `granule` is -1 where no packet ends in it."""

    flags: int
    granule: int
    serial: int
    number: int
    laces: bytes
    """Sizes of the segments; one below 255 ends a packet."""
    body: bytes


def read_pages(file: BinaryIO) -> Iterator[Page]:
    """Yield the pages from the current position on; bytes that are no page, or a damaged one, are
    skipped. Needs the memory of a few pages for any file."""
    buffer = b""
    while data := file.read(_CHUNK_BYTES):
        buffer = yield from _pages_of(buffer + data, is_all=False)
    yield from _pages_of(buffer, is_all=True)


def _pages_of(data: bytes, *, is_all: bool) -> Generator[Page, None, bytes]:
    """Yield the pages in `data`; return the rest, which may be the beginning of one. `is_all`:
    nothing follows."""
    at = 0
    while (at := data.find(b"OggS", at)) >= 0:
        end = at + _size(data, at)
        if end > len(data) and not is_all:
            return data[at:]
        if _checksum(data[at:end]) == data[at + _CRC_AT : at + _CRC_AT + 4]:
            yield _parse(data[at:end])
            at = end
        else:
            at += 1
    return data[-3:]


def take_page(data: bytes) -> tuple[Page | None, bytes]:
    """Return the page at the start of `data`, None where it is not whole yet, and the rest.

    Raises `ValueError` for other bytes and for a damaged page: nothing is skipped.
    """
    if data[:4] != b"OggS"[: len(data)]:
        raise ValueError("no page")
    size = _size(data, 0)
    if size > len(data):
        return None, data
    if _checksum(data[:size]) != data[_CRC_AT : _CRC_AT + 4]:
        raise ValueError("a damaged page")
    return _parse(data[:size]), data[size:]


def _size(data: bytes, at: int) -> int:
    """Size of the page at `at`; the largest possible one where its head is not whole."""
    laces_at = at + _HEAD.size
    laces_end = laces_at + (data[laces_at - 1] if laces_at <= len(data) else _LACES_MAX)
    if laces_end > len(data):
        return _PAGE_MAX_BYTES
    return laces_end - at + sum(data[laces_at:laces_end])


def _parse(page: bytes) -> Page:
    _, _, flags, granule, serial, number, _, count = _HEAD.unpack_from(page)
    end = _HEAD.size + count
    return Page(flags, granule, serial, number, page[_HEAD.size : end], page[end:])


def _checksum(page: bytes) -> bytes:
    """The CRC of a page as it is stored.

    Ogg's CRC is that of zlib with every bit order reversed, begun with zero and not inverted.
    """
    blank = b"".join((page[:_CRC_AT], bytes(4), page[_CRC_AT + 4 :]))
    crc = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_REVERSED)


# -- writing


def opus_bytes(packets: Sequence[bytes]) -> bytes:
    """Return an Ogg Opus file of the packets (48 kHz, mono, 20 ms each), bit for bit.

    The same packets make the same file: its serial number is made from them.
    """
    serial = zlib.crc32(b"".join(packets))
    head, tags = _heads()
    pages = [_page(FIRST, 0, serial, 0, [head]), _page(0, 0, serial, 1, [tags])]
    done = 0
    for number, group in enumerate(_grouped(packets), start=2):
        done += len(group)
        flags = LAST if done == len(packets) else 0
        pages.append(_page(flags, done * PACKET_SAMPLES, serial, number, group))
    return b"".join(pages)


def opus_pages(packets: Iterable[bytes], serial: int) -> Iterator[bytes]:
    """Yield the pages of an Ogg Opus stream, one for each packet as soon as it is there."""
    head, tags = _heads()
    yield _page(FIRST, 0, serial, 0, [head])
    yield _page(0, 0, serial, 1, [tags])
    for number, packet in enumerate(packets, start=1):
        yield _page(0, number * PACKET_SAMPLES, serial, number + 1, [packet])


class OpusWriter:
    """The pages of an Ogg Opus stream of which the end is not known yet."""

    def __init__(self, serial: int) -> None:
        self._serial = serial
        self._number = 0
        self.packets = 0
        """How many packets are in pages."""

    def begin(self) -> bytes:
        """Return the pages of the heads."""
        head, tags = _heads()
        return self._next(FIRST, [head]) + self._next(0, [tags])

    def pages(self, packets: Sequence[bytes], *, is_end: bool = False) -> bytes:
        """Return pages of the next packets; `is_end`: they are the last ones of the stream."""
        pages, left = [], len(packets)
        for group in _grouped(packets):
            self.packets += len(group)
            left -= len(group)
            pages.append(self._next(LAST if is_end and not left else 0, group))
        return b"".join(pages)

    def _next(self, flags: int, packets: Sequence[bytes]) -> bytes:
        number, self._number = self._number, self._number + 1
        granule = self.packets * PACKET_SAMPLES
        return _page(flags, granule, self._serial, number, packets)


class Tail(NamedTuple):
    """The last whole page of a file: where it begins and where the bytes after it do."""

    page: Page
    start: int
    stop: int

    def as_end(self) -> bytes:
        """Return the page with the flag of the end of a stream."""
        page = self.page
        head = _HEAD.pack(
            b"OggS", 0, page.flags | LAST, page.granule, page.serial, page.number, 0,
            len(page.laces),
        )  # fmt: skip
        return _with_checksum(head + page.laces + page.body)


def last_page(file: BinaryIO, size: int) -> Tail | None:
    """Return the last whole page of a file of `size` bytes; None where there is none near its end.
    Reads little, and at most the room of two pages."""
    for room in (_TAIL_BYTES, 2 * _PAGE_MAX_BYTES):
        start = max(0, size - room)
        file.seek(start)
        if (found := _last_in(file.read(size - start), start, size)) is not None:
            return found
    return None


def _last_in(data: bytes, start: int, size: int) -> Tail | None:
    at = len(data)
    while (at := data.rfind(b"OggS", 0, at)) >= 0:
        try:
            page, rest = take_page(data[at:])
        except ValueError:
            continue
        if page is not None:
            return Tail(page, start + at, size - len(rest))
    return None


def _heads() -> tuple[bytes, bytes]:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, PRE_SKIP_SAMPLES, RATE_HZ, 0, 0)
    return head, b"OpusTags" + struct.pack("<I4sI", 4, b"opus", 0)


def _grouped(packets: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The packets of one page after the other."""
    group: list[bytes] = []
    room = _LACES_MAX
    for packet in packets:
        laces = len(packet) // 255 + 1
        if len(group) == _PACKETS_A_PAGE or laces > room:
            yield group
            group, room = [], _LACES_MAX
        group.append(packet)
        room -= laces
    if group:
        yield group


def _page(flags: int, granule: int, serial: int, number: int, packets: Sequence[bytes]) -> bytes:
    laces = b"".join(b"\xff" * (len(one) // 255) + bytes([len(one) % 255]) for one in packets)
    head = _HEAD.pack(b"OggS", 0, flags, granule, serial, number, 0, len(laces))
    return _with_checksum(b"".join((head, laces, *packets)))


def _with_checksum(page: bytes) -> bytes:
    return b"".join((page[:_CRC_AT], _checksum(page), page[_CRC_AT + 4 :]))
