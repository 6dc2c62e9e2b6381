"""Faults between a server and its clients, as one line each."""

from __future__ import annotations

import errno
import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from httpx2 import codes

from audio_server.client.server import Server, ServerError
from audio_server.rpc.tls_errors import handshake_fault

NO_SERVER = "not an audio-server, or an incompatible version"
NO_TOKEN = "asks for a token: --token-file FILE, or AUDIO_SERVER_HTTP_TOKEN"
WRONG_TOKEN = "does not take this token"


@contextmanager
def faults_of(server: Server) -> Iterator[None]:
    """Turn the errors of the HTTP client in the block into `ServerError`."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServerError(f"{server.url}: {_reason(error)}") from error


def refusal(server: Server, answer: httpx2.Response, about: str | None = None) -> ServerError:
    """Return the message of an answer that is no success, after its body was read. The server's own
    line begins with its subject, `about`."""
    if answer.status_code == codes.UNAUTHORIZED:
        return ServerError(f"{server.url}: {WRONG_TOKEN if server.token else NO_TOKEN}")
    if said := _said(answer):
        return ServerError(f"{about}: {said}" if about else said)
    status = f"{answer.status_code} {codes.get_reason_phrase(answer.status_code)}".rstrip()
    reason = f"answers {status}" if answer.is_server_error else f"{NO_SERVER} ({status})"
    return ServerError(f"{server.url}: {reason}")


def _said(answer: httpx2.Response) -> str | None:
    """The line that the server gives as its reason."""
    try:
        reason = json.loads(answer.content)["error"]
    except (ValueError, TypeError, KeyError):
        return None
    return " ".join(str(reason).split()) or None


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.SSEError):
        return NO_SERVER
    if isinstance(error, httpx2.ConnectTimeout):
        return "no server answers"
    if isinstance(error, httpx2.TimeoutException):
        return "has stopped answering"
    if isinstance(error, httpx2.RemoteProtocolError):
        return "has gone, or speaks no HTTP"
    cause = _root(error)
    return " ".join(_os_reason(cause).split()) or type(cause).__name__


def _os_reason(cause: BaseException) -> str:
    """Return the system's text, without the texts that libraries add to it."""
    if isinstance(cause, ssl.SSLError):
        return handshake_fault(cause)
    if isinstance(cause, ConnectionRefusedError):
        return f"{os.strerror(errno.ECONNREFUSED)}: no server listens there"
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
        return os.strerror(cause.errno)
    return str(getattr(cause, "strerror", None) or cause)


def _root(error: BaseException) -> BaseException:
    """Return the first cause: libraries wrap it, each in an error of its own."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    inner = error.__cause__ or error.__context__
    return error if inner is None else _root(inner)
