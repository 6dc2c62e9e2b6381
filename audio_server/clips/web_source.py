"""Sound of a URL: a stream, a file, an M3U or PLS list that names one, or HLS.

FFmpeg opens nothing here. It gets bytes of requests that are made here, so that each address, also
of a redirect, of a list, and of each part of HLS, passes `Addresses`, as does each that a name is
resolved to (`web_transport`). It may take them for formats of sound only, since those that ask for
more are not in its list.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, TypeAlias, cast

import httpx2

from audio_server.clips.errors import ClipError
from audio_server.clips.formats import OPTIONS
from audio_server.clips.web_address import Addresses, shown
from audio_server.clips.web_body import FileBody, ListBody, StreamBody
from audio_server.clips.web_playlist import LIST_MAX_BYTES, Kind, first_entry, kind_of, parts_of
from audio_server.clips.web_transport import Transport

CONNECT_S: Final = 10.0
SILENT_S: Final = 10.0
"""How long a stream may send no byte."""

HOPS_MAX: Final = 10
"""Redirects and lists on the way to a stream."""

_DIGITS_MAX: Final = 19

_BEGIN_BYTES: Final = 1024
_HEADERS: Final = {"accept": "*/*", "accept-encoding": "identity", "icy-metadata": "0"}
_HLS_OPTIONS: Final = OPTIONS | {
    "format_whitelist": f"hls,{OPTIONS['format_whitelist']}",
    "allowed_extensions": "ALL",
    "extension_picky": "0",
    # FFmpeg's own requests could be used again, and it ends the process where they are not its own.
    "http_persistent": "0",
    "http_multiple": "0",
}

Body: TypeAlias = StreamBody | FileBody | ListBody


class StreamBroke(ClipError):
    """A stream has ended that has no end of its own, or it has stopped coming."""


class WebSource:
    """An opened URL: a `file` for FFmpeg, with its `options`. Use it in one thread at a time."""

    def __init__(self, client: httpx2.Client, addresses: Addresses) -> None:
        self._client = client
        self._addresses = addresses
        self._name = shown(addresses.url)
        self._is_list_open = False
        self._failure: Exception | None = None
        self.file, self.kind = self._opened(addresses.url)

    @property
    def options(self) -> dict[str, str]:
        """Options for FFmpeg."""
        return _HLS_OPTIONS if self.kind is Kind.HLS else OPTIONS

    @property
    def has_end(self) -> bool:
        """Whether the end of the sound is an end, and not a stream that has broken off."""
        return not self._is_list_open if self.kind is Kind.HLS else isinstance(self.file, FileBody)

    def open_part(self, url: str, flags: int, options: dict[str, Any]) -> BinaryIO:
        """Open a part of HLS, or its list once more, for FFmpeg. Raises `ClipError`, and then for
        each later part too: FFmpeg would go on with the next one."""
        if self._failure is not None:
            raise self._failure
        try:
            if self.kind is not Kind.HLS:
                raise ClipError(self._name, "asks for another file")
            body, kind = self._fetched(url)
            return cast(BinaryIO, self._parts(body) if kind is Kind.HLS else body)
        except Exception as error:
            self._failure = error
            raise

    def _opened(self, url: str) -> tuple[Body, Kind]:
        for _ in range(HOPS_MAX):
            body, kind = self._fetched(url)
            if kind is Kind.SOUND:
                return body, kind
            if kind is Kind.HLS:
                return self._parts(body), kind
            whole = self._list(body)
            entry = first_entry(whole.getvalue())
            if entry is None:
                raise ClipError(self._name, "leads to a list that names no stream")
            url = self._addresses.resolve(whole.name, entry)
        raise ClipError(self._name, "leads from list to list")

    def _fetched(self, url: str) -> tuple[StreamBody | FileBody, Kind]:
        response = self._response(url, 0)
        length = _number_in(response.headers.get("content-length", ""))
        address = str(response.url)
        interval = response.headers.get("icy-metaint", "")
        body: StreamBody | FileBody = StreamBody(response, _number_in(interval) or 0)
        if length is not None and not interval:
            body = FileBody(response, length, lambda at: self._response(address, at))
        kind = kind_of(body.peek(_BEGIN_BYTES), response.headers.get("content-type", ""))
        return body, kind

    def _response(self, url: str, at: int) -> httpx2.Response:
        """Return the answer that redirects lead to, from byte `at` on."""
        headers = _HEADERS | ({"range": f"bytes={at}-"} if at else {})
        for _ in range(HOPS_MAX):
            self._addresses.check(url)
            asked = self._client.build_request("GET", url, headers=headers)
            response = self._client.send(asked, stream=True, follow_redirects=False)
            if not response.has_redirect_location:
                return self._checked(response, at)
            response.close()
            url = self._addresses.resolve(url, response.headers["location"])
        raise ClipError(self._name, "leads from redirect to redirect")

    def _checked(self, response: httpx2.Response, at: int) -> httpx2.Response:
        code = response.status_code
        if not response.is_success:
            response.close()
            phrase = httpx2.codes.get_reason_phrase(code)
            raise ClipError(self._name, f"is answered {code} {phrase}".rstrip())
        if at and not response.headers.get("content-range", "").startswith(f"bytes {at}-"):
            response.close()
            raise ClipError(self._name, "cannot be read from a place in it")
        return response

    def _list(self, body: StreamBody | FileBody) -> ListBody:
        data = body.peek(LIST_MAX_BYTES + 1)
        body.close()
        if len(data) > LIST_MAX_BYTES:
            raise ClipError(self._name, "leads to a list that has no end")
        return ListBody(data, body.name)

    def _parts(self, body: StreamBody | FileBody) -> ListBody:
        whole = self._list(body)
        data = whole.getvalue()
        for part in parts_of(data):  # FFmpeg would leave out those that it does not follow itself
            self._addresses.check(self._addresses.resolve(whole.name, part))
        is_choice = b"#EXT-X-STREAM-INF" in data
        self._is_list_open = not is_choice and b"#EXT-X-ENDLIST" not in data
        return whole


@contextmanager
def open_web(addresses: Addresses, silent_s: float = SILENT_S) -> Iterator[WebSource]:
    """Open a URL for the block. Raises `ClipError`, here and where the block reads it; blocks."""
    timeout = httpx2.Timeout(silent_s, connect=CONNECT_S)
    try:
        context = ssl.create_default_context()
        transport = Transport(context, addresses)
        with httpx2.Client(transport=transport, timeout=timeout) as client:
            yield WebSource(client, addresses)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise StreamBroke(shown(addresses.url), _reason(error)) from error


def _number_in(header: str) -> int | None:
    """Return a number of bytes; None for a text that is none, or too long for one: Python refuses
    to read thousands of digits."""
    return int(header) if header.isdecimal() and len(header) <= _DIGITS_MAX else None


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.InvalidURL):
        return "leads to an address that is no URL"
    if isinstance(error, httpx2.ConnectTimeout):
        return "is not answered"
    if isinstance(error, httpx2.TimeoutException):
        return "has stopped coming"
    if isinstance(error, httpx2.ConnectError):
        return f"cannot be reached ({error})"
    return "has broken off"
