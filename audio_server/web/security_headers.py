"""Security headers of every answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audio_server.web.origins import may_be_named

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # with "no-referrer" browsers would not say in a form's Origin that the page is ours
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

WHERE_TRUSTED = {"cross-origin-opener-policy": "same-origin"}
"""Headers that browsers ignore, and complain of, where the connection is not trusted."""


def is_encrypted(asked: HTTPConnection) -> bool:
    """Return whether the browser speaks TLS, with us or with a proxy, which declares it. A client
    that lies about it only gets a cookie that does not come back."""
    forwarded = asked.headers.get("forwarded", "").lower()
    is_proxied = asked.headers.get("x-forwarded-proto", "").lower() == "https"
    return asked.scope["scheme"] == "https" or "proto=https" in forwarded or is_proxied


def headers_for(asked: HTTPConnection) -> dict[str, str]:
    """Return the headers of the answer."""
    is_near = may_be_named(asked.headers.get("host"), loopback_only=True)
    return HEADERS | WHERE_TRUSTED if is_near or is_encrypted(asked) else HEADERS


class SecurityHeaders:
    """Adds `headers_for` a request to the answer of `app`, where it has none of the name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in headers_for(HTTPConnection(scope)).items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        await self._app(scope, receive, wrapped)
