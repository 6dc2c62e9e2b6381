"""Headers on their short way: the request and the refusal are those of all headers together."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from raw_peer import request_headers

from audio_server.rpc import headers as headers_module
from audio_server.rpc.errors import MalformedRequestError, RefusedRequestError
from audio_server.rpc.headers import RawHeader, RawHeaders, parse_request
from audio_server.rpc.limits import Limits

LIMITS = Limits()
TIGHT = replace(LIMITS, max_metadata_fields=16, max_metadata_bytes=512)

_NAMES = b"""device_id x-bin te content-type grpc-timeout grpc-encoding upgrade :path :method :odd X
user-agent authorization host"""
_VALUES = b"dev-1 trailers application/grpc 1S identity gzip AAA % \xff"

names = st.sampled_from([b"", *_NAMES.split()])
values = st.sampled_from([b"", b"a\nb", b"v" * 300, b"v" * 1100, *_VALUES.split()])
others = st.lists(st.tuples(names, values), max_size=14)


def _stock() -> RawHeaders:
    return [(name.encode(), value.encode()) for name, value in request_headers()]


def _outcome(headers: RawHeaders, limits: Limits, *, short: bool) -> object:
    parse = parse_request if short else headers_module._parse
    try:
        request = parse(headers, limits)
    except MalformedRequestError as error:
        return error.reason, error.detail
    except RefusedRequestError as error:
        return error.reason, error.detail, error.headers
    return request.path, list(request.metadata.items()), request.deadline_s, request.user_agent


@settings(deadline=None, max_examples=400)
@given(others, st.integers(0, 6), st.sampled_from([LIMITS, TIGHT]))
def test_both_ways_lead_to_the_same(some: list[RawHeader], left_out: int, limits: Limits) -> None:
    headers = [*_stock()[:left_out], *_stock()[left_out + 1 :], *some]
    for _ in range(2):  # the second time from the cache
        assert _outcome(headers, limits, short=True) == _outcome(headers, limits, short=False)


def test_two_requests_share_no_metadata() -> None:
    first = parse_request([*_stock(), (b"device_id", b"dev-1")], LIMITS)
    second = parse_request([*_stock(), (b"device_id", b"dev-2")], LIMITS)
    first.metadata.add("extra", "1")
    assert list(second.metadata.items()) == [("device_id", "dev-2")]


def test_large_requests_are_not_kept() -> None:
    before = headers_module._parse_stock.cache_info().currsize
    parse_request([*_stock(), (b"x", b"v" * 2000), (b"device_id", b"dev-1")], LIMITS)
    assert headers_module._parse_stock.cache_info().currsize == before
