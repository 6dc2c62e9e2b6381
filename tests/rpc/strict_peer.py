"""An HTTP/2 endpoint without I/O that holds the other one to all that it has announced.

It parses frames by hand and decodes headers with a decoder of its own. A value counts from its
acknowledgement on, as RFC 9113 section 6.5.3 has it. Whatever breaks a rule is an AssertionError.
"""

from __future__ import annotations

import struct
from collections import deque

from hpack import Decoder
from http2_frames import PREFACE, frame

from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import FrameReader
from audio_server.rpc.limits import Limits

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW = range(9)
CONTINUATION = 9
TABLE, PUSH, STREAMS, INITIAL_WINDOW, FRAME_BYTES, LIST_BYTES = range(1, 7)

Pairs = list[tuple[int, int]]
Fields = dict[str, str]


def header_list_bytes(headers: list[tuple[str, str]]) -> int:
    """The size of a header list as SETTINGS_MAX_HEADER_LIST_SIZE counts it."""
    return sum(len(name) + len(value) + 32 for name, value in headers)


class StrictPeer:
    """The other end of `subject`, which is asked and answered in this very turn."""

    def __init__(self, *, client_side: bool, first: Pairs) -> None:
        limits = Limits()
        self.subject = ConnectionState(limits, client_side=client_side)
        self._reader = FrameReader(limits, client_side=client_side)
        self._announced: deque[Pairs] = deque()
        self.values = {INITIAL_WINDOW: 65535, FRAME_BYTES: 16384}
        self.decoder = Decoder()
        self._smallest: int | None = None  # table that was acknowledged since the last block
        self._last = 4096
        self._was_reduced = False
        self._window = 65535
        self.windows: dict[int, int] = {}
        self._block: tuple[int, bytes] | None = None
        self.headers: list[tuple[int, Fields]] = []
        if client_side:
            assert self.subject.out.startswith(PREFACE)
            del self.subject.out[: len(PREFACE)]
        else:
            self._give(PREFACE)
        self.announce(first)
        self.judge()

    # Saying

    def _give(self, data: bytes) -> None:
        self._reader.add(data)
        while (whole := self._reader.next()) is not None:
            if whole.type == DATA and self.subject.take_data(whole) is not None:
                continue
            if whole.type != WINDOW or not self.subject.take_window(whole):
                self.subject.receive(whole)

    def announce(self, pairs: Pairs) -> None:
        """Send one SETTINGS frame with these values, in this order."""
        self._announced.append(pairs)
        self._give(frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs)))

    def request(self, stream_id: int, block: bytes) -> None:
        self.windows[stream_id] = self.values[INITIAL_WINDOW]
        self._give(frame(HEADERS, 4, stream_id, block))

    def widen(self, stream_id: int, size: int) -> None:
        self._give(frame(WINDOW, 0, stream_id, struct.pack(">I", size)))
        if stream_id:
            self.windows[stream_id] += size
        else:
            self._window += size

    # Judging

    def judge(self) -> None:
        """Take all that the other end has written, and see that it was right."""
        data = bytes(self.subject.out)
        self.subject.out.clear()
        while data:
            size, kind = int.from_bytes(data[:3], "big"), data[3]
            flags, stream_id = struct.unpack(">BI", data[4:9])
            assert size <= self.values[FRAME_BYTES]
            self._take(kind, flags, stream_id, data[9 : 9 + size])
            data = data[9 + size :]

    def on_readable(self, data: bytes) -> None:
        """Judge bytes that were not put into `out`."""
        assert not self.subject.out
        self.subject.out += data
        self.judge()

    def _take(self, kind: int, flags: int, stream_id: int, body: bytes) -> None:
        assert (self._block is not None) == (kind == CONTINUATION)
        assert kind not in (PUSH_PROMISE, PRIORITY)
        if kind == SETTINGS and flags & 1:
            self._acknowledged(self._announced.popleft())
        elif kind == DATA:
            self._window -= len(body)
            self.windows[stream_id] -= len(body)
            assert self._window >= 0
            assert not body or self.windows[stream_id] >= 0
        elif kind in (HEADERS, CONTINUATION):
            so_far = self._block[1] if self._block else b""
            self._block = (stream_id, so_far + body)
            if flags & 4:
                self._block = None
                self._decode(stream_id, so_far + body)

    def _acknowledged(self, pairs: Pairs) -> None:
        for code, value in pairs:
            if code == TABLE:
                self._was_reduced |= value < self._last
                self._smallest = value if self._smallest is None else min(self._smallest, value)
                self._last = value
            elif code == INITIAL_WINDOW:
                for stream_id in self.windows:
                    self.windows[stream_id] += value - self.values[INITIAL_WINDOW]
            self.values[code] = value
        self.decoder.max_allowed_table_size = self._last

    def _decode(self, stream_id: int, block: bytes) -> None:
        updates = _updates(block)
        if self._was_reduced:  # RFC 9113 section 4.3.1
            assert updates, "no size update after a reduction"
        if updates and self._smallest is not None:  # RFC 7541 section 4.2
            assert updates[0] <= self._smallest
            assert len(updates) <= 2
            assert updates == sorted(updates)
        assert all(size <= self._last for size in updates)
        self.decoder.max_header_list_size = 1 << 20
        fields = list(self.decoder.decode(block))
        assert self.decoder.header_table_size <= self._last
        self._smallest, self._was_reduced = None, False
        texts = [(str(name), str(value)) for name, value in fields]
        # A status alone (44), and the headers of every answer (108), cannot be made any smaller.
        least = 108 if (":status", "200") in texts else 44
        assert header_list_bytes(texts) <= max(least, self.values.get(LIST_BYTES, 2**32))
        self.headers.append((stream_id, dict(texts)))


def _updates(block: bytes) -> list[int]:
    """The table size updates at the start of a header block."""
    sizes = []
    while block and block[0] & 0xE0 == 0x20:
        size, used = block[0] & 0x1F, 1
        if size == 0x1F:
            shift = 0
            while True:
                size += (block[used] & 0x7F) << shift
                shift, used = shift + 7, used + 1
                if not block[used - 1] & 0x80:
                    break
        sizes.append(size)
        block = block[used:]
    return sizes
