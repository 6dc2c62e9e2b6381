"""Logging in and out with a browser: a form, and a cookie for the token that is in it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from urllib.parse import parse_qs, urlencode

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from audio_server.web.access import NOT_OURS, TOO_OFTEN, Admitted, refuse_token
from audio_server.web.api.bodies import BodyRoom, read_body
from audio_server.web.api.operation import Problem
from audio_server.web.files import Files
from audio_server.web.login import SESSION_S, Login
from audio_server.web.origins import is_own_origin, peer_of
from audio_server.web.security_headers import is_encrypted

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger()

FORM_MAX_BYTES: Final = 8192
FORM_S: Final = 10.0
"""Time for a form to arrive: any client may send one."""

_OURS: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server. Browsers take `//` and `/\\` for another one, and drop white space."""


def login_routes(entry: Admitted, files: Files) -> list[BaseRoute]:
    """Where no token is needed, `/login` leads to the pages."""
    login = entry.login
    if login is None:
        return [Route("/login", _not_needed), Route("/logout", _not_needed, methods=["POST"])]
    return [
        Route("/login", _show_form(files.page("login.html"), login)),
        Route("/login", _log_in(entry, login), methods=["POST"]),
        Route("/logout", _log_out(login), methods=["POST"]),
    ]


async def _not_needed(request: Request) -> Response:
    return RedirectResponse("/", 303)


def _show_form(form: Handler, login: Login) -> Handler:
    """Give the form, and remove a cookie that is good for nothing: a page that goes to the form
    by itself may get there before the answer to its logout, which is then lost."""

    async def show_form(request: Request) -> Response:
        answer, cookie = await form(request), login.cookie_of(request)
        if cookie and not login.is_cookie(cookie, time.time()):
            _forget(answer, login)
        return answer

    return show_form


def _log_in(entry: Admitted, login: Login) -> Handler:
    async def log_in(request: Request) -> Response:
        if not is_own_origin(request.headers.get("origin"), request.headers.get("host")):
            return PlainTextResponse(f"{NOT_OURS.reason}\n", NOT_OURS.status)
        form = await _form(request)
        wanted = form.get("next", "")
        wanted = wanted if _OURS.fullmatch(wanted) else "/"
        refusal = refuse_token(request, login, entry.login_throttle, form.get("token", "").strip())
        if refusal is None:
            log.info("operator logged in", peer=peer_of(request))
            return _welcome(request, login, wanted)
        why = "slow" if refusal is TOO_OFTEN else "wrong"
        return RedirectResponse(f"/login?{urlencode({'next': wanted, why: 1})}", 303)

    return log_in


def _log_out(login: Login) -> Handler:
    async def log_out(request: Request) -> Response:
        await login.end(login.cookie_of(request), time.time())
        answer = RedirectResponse("/login", 303)
        _forget(answer, login)
        return answer

    return log_out


def _forget(answer: Response, login: Login) -> None:
    answer.delete_cookie(login.cookie_name, httponly=True, samesite="strict")


def _welcome(request: Request, login: Login, wanted: str) -> Response:
    answer = RedirectResponse(wanted, 303)
    cookie = login.new_cookie(time.time())
    answer.set_cookie(
        login.cookie_name,
        cookie,
        max_age=SESSION_S,
        secure=is_encrypted(request),
        httponly=True,
        samesite="strict",
    )
    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; none of one that is too large, or takes too long to come."""
    try:
        with BodyRoom().body() as body:
            await read_body(request, body, FORM_MAX_BYTES, FORM_S)
        fields = parse_qs(body.data.decode(), max_num_fields=8)
    except (Problem, ValueError):
        return {}
    return {name: values[-1] for name, values in fields.items()}
