"""A server of streams on this machine, which does as a test says, well or badly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Asked"], None]


class Asked(BaseHTTPRequestHandler):
    """A request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: Station

    def do_GET(self) -> None:
        self.close_connection = True
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        with suppress(OSError):
            self.server.answers.get(path, lost)(self)

    def log_message(self, *args: object) -> None:
        return

    def head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("connection", "close")
        self.end_headers()

    def wait_over(self) -> None:
        """Say nothing until the test is over."""
        self.server.over.wait(20)


class Station(ThreadingHTTPServer):
    """Answers by path; `asked` are the paths of all requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.over = threading.Event()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"


@contextmanager
def on_air() -> Iterator[Station]:
    """A server for the block."""
    with Station() as station:
        thread = threading.Thread(target=station.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield station
        finally:
            station.over.set()
            station.shutdown()
            thread.join()


def lost(asked: Asked) -> None:
    asked.head(404, content_length="0")


def stream(data: bytes, *, stalls: bool = False, kind: str = "audio/mpeg") -> Answer:
    """A body of no known length, which ends, or stalls, after the data."""

    def answer(asked: Asked) -> None:
        asked.head(200, content_type=kind)
        asked.wfile.write(data)
        if stalls:
            asked.wait_over()

    return answer


def chunked(data: bytes) -> Answer:
    """A body in one chunk, which breaks off before its end."""

    def answer(asked: Asked) -> None:
        asked.head(200, transfer_encoding="chunked")
        asked.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        asked.wfile.write(b"fff\r\n")

    return answer


def file(data: bytes, *, kind: str = "audio/flac", cut_at: int | None = None) -> Answer:
    """A body of known length, of which ranges may be asked for; the first request is cut."""

    def answer(asked: Asked) -> None:
        begin = int(asked.headers.get("range", "bytes=0-")[6:-1])
        status = 206 if begin else 200
        place = {"content_range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if begin else {}
        length = str(len(data) - begin)
        asked.head(status, accept_ranges="bytes", content_length=length, content_type=kind, **place)
        end = len(data) if begin or cut_at is None else cut_at
        asked.wfile.write(data[begin:end])

    return answer


def text(body: str, kind: str = "text/plain") -> Answer:
    """A body of text."""
    return file(body.encode(), kind=kind)


def redirect(location: str) -> Answer:
    return lambda asked: asked.head(302, location=location, content_length="0")


def silence() -> Answer:
    """No answer."""
    return lambda asked: asked.wait_over()


def in_turn(*answers: Answer) -> Answer:
    """One after the other, the last again and again."""
    left = list(answers)
    return lambda asked: (left.pop(0) if len(left) > 1 else left[0])(asked)


def listening() -> tuple[socket.socket, str]:
    """A socket that must not be connected to, and its address."""
    trap = socket.create_server(("127.0.0.1", 0))
    trap.setblocking(False)
    return trap, f"127.0.0.1:{trap.getsockname()[1]}"
