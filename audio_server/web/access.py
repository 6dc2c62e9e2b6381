"""Access control: one place that every request passes before any handler sees it.

A request must, in this order,
 1. name this server by a name that it can have (a foreign page whose author gave the loopback
    address a name would otherwise count as ours: DNS rebinding);
 2. not be made by a foreign page, which browsers declare in each request of such a page;
 3. be for a path in `OPEN`, or come from an operator where operators need a token. A browser's
    cookie authorises changes and WebSockets only where the browser also declares that a page of
    ours makes the request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import structlog
import trio
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from audio_server.web.login import Login
from audio_server.web.login_throttle import RETRY_S, LoginThrottle
from audio_server.web.origins import is_own_origin, may_be_named, peer_of
from audio_server.web.session import Session
from audio_server.web.visit import visit_of

OPEN: Final = frozenset({"/healthz", "/readyz", "/login"})
"""Paths open to every client, besides `OPEN_FOLDER`: the files of the pages, which hold no news."""

OPEN_FOLDER: Final = "/static/"

FORWARDING: Final = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
)
FORWARDING_PREFIX: Final = "x-forwarded-"
"""Headers that a proxy adds: the client is then not on this machine."""

MACHINES: Final = ("/api/", "/metrics")
"""Paths that begin so are refused in JSON; all others are redirected to the login page."""

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Admitted:
    """The rules of the endpoint: `loopback` means that only this machine can connect; without a
    `login` every client that can connect is an operator."""

    loopback: bool
    login: Login | None = None
    login_throttle: LoginThrottle = field(default_factory=LoginThrottle)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)


NO_TOKEN = Refusal(401, "an operator's token is needed", {"www-authenticate": "Bearer"})
WRONG_TOKEN = Refusal(401, "that is not the operators' token", {"www-authenticate": "Bearer"})
TOO_OFTEN = Refusal(429, "too many wrong tokens came from there", {"retry-after": str(RETRY_S)})
PROXIED = Refusal(403, "requests through a proxy need a token here: --http-token-file")
NOT_OURS = Refusal(403, "only a page of this server may do that")
BUSY = Refusal(503, "too many requests are being answered", {"retry-after": "1"})
OTHER_NAME = Refusal(421, "this server has another name")


class Access:
    """Lets requests through to `app`, or answers why not."""

    def __init__(self, app: ASGIApp, entry: Admitted) -> None:
        self._app = app
        self._entry = entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        refusal = None if scope["type"] == "lifespan" else self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self._let_in(scope, receive, send)
        else:
            await _refuse(scope, receive, send, refusal)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if (visit := visit_of(scope)) is not None and not visit.admit():
            await _refuse(scope, receive, send, BUSY)
            return
        if self._entry.login is not None:
            session = Session(scope, self._entry.login)
            receive, send = session.receiving(receive, send), session.sending(send)
        await self._app(scope, receive, send)

    def _refusal(self, asked: HTTPConnection) -> Refusal | None:
        any_name = self._entry.login is not None or not self._entry.loopback
        if not may_be_named(asked.headers.get("host"), loopback_only=not any_name):
            return OTHER_NAME
        if is_foreign(asked):
            return NOT_OURS
        return None if _is_open(asked.scope["path"]) else self._stranger(asked)

    def _stranger(self, asked: HTTPConnection) -> Refusal | None:
        """Why this is no operator; None where it is one."""
        login = self._entry.login
        if login is None:
            return PROXIED if is_proxied(asked) else None
        if (given := asked.headers.get("authorization")) is not None:
            scheme, _, token = given.partition(" ")
            if scheme.lower() != "bearer":
                return NO_TOKEN
            return refuse_token(asked, login, self._entry.login_throttle, token.strip())
        if not login.is_cookie(login.cookie_of(asked), time.time()):
            return NO_TOKEN
        return None if _is_safe(asked) or _is_ours(asked) else NOT_OURS


def refuse_token(
    asked: HTTPConnection, login: Login, login_throttle: LoginThrottle, token: str
) -> Refusal | None:
    """Why a token does not let its bearer in; None where it does."""
    address = peer_of(asked)
    now = trio.current_time()
    if not login_throttle.are_allowed(address, now):
        return TOO_OFTEN
    if login.is_token(token):
        return None
    login_throttle.count(address, now)
    log.warning("wrong token of an operator", peer=address)
    return WRONG_TOKEN


def is_foreign(asked: HTTPConnection) -> bool:
    """Return whether a foreign page makes the request. A link followed from there does no harm."""
    origin, site = asked.headers.get("origin"), asked.headers.get("sec-fetch-site")
    if origin is not None and not _is_ours(asked):
        return True
    is_link = asked.headers.get("sec-fetch-mode") == "navigate" and _is_safe(asked)
    return site in ("cross-site", "same-site") and not is_link


def is_proxied(asked: HTTPConnection) -> bool:
    """Return whether a proxy declares that it forwards the request of another client."""
    names = [name for name, _ in asked.headers.items()]
    return any(name in FORWARDING or name.startswith(FORWARDING_PREFIX) for name in names)


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_FOLDER)


def _is_ours(asked: HTTPConnection) -> bool:
    origin = asked.headers.get("origin")
    if asked.scope.get("scheme") in ("https", "wss") and not (origin or "").startswith("https:"):
        return False  # an attacker on the way can make pages of our name, but not over TLS
    return is_own_origin(origin, asked.headers.get("host"))


def _is_safe(asked: HTTPConnection) -> bool:
    return asked.scope["type"] == "http" and asked.scope["method"] in SAFE


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before accepting: 403
    else:
        await _answer(scope, refusal)(scope, receive, send)


def _answer(scope: Scope, refusal: Refusal) -> Response:
    path = scope["path"]
    if path.startswith("/api/"):
        return JSONResponse({"error": refusal.reason}, refusal.status, headers=refusal.headers)
    if refusal is NO_TOKEN and scope["method"] in SAFE and not path.startswith(MACHINES):
        query = scope["query_string"].decode("latin-1")
        wanted = quote(f"{path}?{query}" if query else path, safe="")
        return RedirectResponse(f"/login?next={wanted}", 303)
    return PlainTextResponse(f"{refusal.reason}\n", refusal.status, headers=refusal.headers)
