"""Sequences of frames: valid, nearly valid and garbage, cut into pieces anywhere."""

from __future__ import annotations

import struct

from hpack import Encoder
from hypothesis import strategies as st

from benchmarks.frames import message, opening

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVICE = "/com.opalcamera.test.DeviceService/"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any frame, possible or not."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


HELLO = PREFACE + frame(4, 0, 0)

stream_ids = st.sampled_from([1, 1, 1, 3, 3, 5, 5, 7, 9, 0, 2, 4, 2**31 - 1, 2**31 + 1])
flags = st.sampled_from([0, 0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF])
numbers = st.sampled_from([0, 1, 2, 5, 100, 16_384, 65_535, 65_536, 2**24, 2**31 - 1, 2**31])
junk = st.binary(max_size=40)

paths = st.sampled_from(
    [SERVICE + "StatusStream", SERVICE + "EventStream", SERVICE + "ServerAudioStream", "/x", ""]
)
ids = st.sampled_from(["fuzz", "fuzz", "fuzz-2", "", "\xe4", "a b"])
odd_fields = st.lists(
    st.sampled_from(
        [
            (":method", "GET"),
            (":status", "200"),
            (":path", "/again"),
            ("connection", "close"),
            ("Upper", "case"),
            ("grpc-timeout", "1m"),
            ("grpc-timeout", "soon"),
            ("grpc-encoding", "gzip"),
            ("x-bin", "%%%"),
            ("long", "x" * 5000),
            ("", ""),
            ("device_id", "other"),
        ]
    ),
    max_size=2,
)


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """The header block of a request; it may be wrong, or not even HPACK."""
    if draw(st.integers(0, 9)) == 0:
        return draw(junk)
    fields = [(":method", "POST"), (":scheme", "http"), (":path", draw(paths))]
    fields += [(":authority", "fuzz"), ("te", "trailers"), ("content-type", "application/grpc")]
    fields += [("device_id", draw(ids)), *draw(odd_fields)]
    block: bytes = Encoder().encode([(n.encode(), v.encode("latin-1")) for n, v in fields])
    return block


events = st.builds(
    lambda button, action: message(b"\x0a\x04\x08" + bytes([button]) + b"\x10" + bytes([action])),
    st.integers(0, 5),
    st.integers(0, 3),
)
messages = st.one_of(
    events,
    events,
    st.just(message(b"\x08\x01")),
    st.just(message(b"\x12\x07success")),
    st.just(message(b"")),
    st.builds(message, junk),
    st.builds(lambda c, n, rest: struct.pack(">BI", c, n % 2**32) + rest, flags, numbers, junk),
    junk,
)
payloads = st.lists(messages, max_size=4).map(b"".join)

header_flags, data_flags = st.sampled_from([4, 4, 4, 5, 0]), st.sampled_from([0, 0, 0, 1, 8])
headers = st.builds(frame, st.just(1), header_flags, stream_ids, blocks())
data = st.builds(frame, st.just(0), data_flags, stream_ids, payloads)
settings = st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 5, 6, 8, 99]), numbers), max_size=4).map(
    lambda values: frame(4, 0, 0, b"".join(struct.pack(">HI", k, v % 2**32) for k, v in values))
)
windows = st.builds(lambda s, n: frame(8, 0, s, struct.pack(">I", n % 2**32)), stream_ids, numbers)
resets = st.builds(lambda s, n: frame(3, 0, s, struct.pack(">I", n % 2**32)), stream_ids, numbers)
pings = st.builds(lambda f: frame(6, f, 0, b"12345678"), st.sampled_from([0, 1]))
goaways = st.just(frame(7, 0, 0, bytes(8)))
continuations = st.builds(lambda f, s, b: frame(9, f, s, b), flags, stream_ids, junk)
anything = st.builds(frame, st.integers(0, 12), flags, stream_ids, junk)
floods = st.builds(
    lambda piece, times: piece * times,
    st.one_of(pings, settings, resets, data, anything),
    st.sampled_from([3, 40, 400]),
)
frames = st.one_of(
    headers, headers, data, data, data, settings, windows, resets, pings, goaways, continuations,
    anything, floods, junk,
)  # fmt: skip

beginnings = st.sampled_from(
    [HELLO, HELLO, opening("fuzz", "fuzz"), opening("fuzz", "fuzz"), PREFACE, b"", b"GET / HTTP/1"]
)


@st.composite
def speeches(draw: st.DrawFn) -> list[bytes]:
    """All that a peer says, in the pieces in which it arrives."""
    said = draw(beginnings) + b"".join(draw(st.lists(frames, max_size=12)))
    if draw(st.booleans()):
        return [said] if said else []
    cuts = sorted(draw(st.lists(st.integers(0, len(said)), max_size=6)))
    return [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True) if a < b]
