"""Logging in with a browser, and the file that the operators' token is in."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog.testing
import trio
from asgi import HOST, Answer, ask
from repositories import shelf_of
from starlette.types import ASGIApp
from trio.testing import MockClock

from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.errors import SetupError
from audio_server.files.small_file import TOKEN_MAX, read_token
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.own_rows import own_fleet
from audio_server.settings import Settings
from audio_server.web.access import Admitted
from audio_server.web.app import make_app
from audio_server.web.context import Context
from audio_server.web.endpoint import endpoint
from audio_server.web.login import SESSION_S, Login
from audio_server.web.login_routes import FORM_S
from audio_server.web.token_file import (
    KEY_FILE,
    LENGTH_MIN,
    TOKEN_FILE,
    cookie_key,
    token_file,
)

TOKEN = "0123456789abcdef"
OURS = {"origin": f"http://{HOST}"}


def app_with(login: Login | None) -> ASGIApp:
    nobody = own_fleet(DevicesHere(Devices((), Rules(clips=0), 0.3)))
    context = Context(Settings(), 1, shelf_of(), nobody, trio.Event(), str)
    return make_app(context, Admitted(loopback=False, login=login))


@pytest.fixture
def app() -> ASGIApp:
    return app_with(Login(TOKEN, b"key"))


async def log_in(app: ASGIApp, headers: Any = OURS, **fields: str) -> Answer:
    return await ask(app, "POST", "/login", urlencode(fields), **headers)


async def test_a_form_gives_a_cookie_that_opens_the_pages(app: ASGIApp) -> None:
    assert (await ask(app, "GET", "/device")).headers["location"] == "/login?next=%2Fdevice"
    assert "<form" in (await ask(app, "GET", "/login?next=%2Fdevice")).text
    done = await log_in(app, token=f" {TOKEN}\n", next="/device")
    assert (done.status, done.headers["location"]) == (303, "/device")
    cookie, *attributes = done.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_S}"}
    assert (await ask(app, "GET", "/device", cookie=cookie)).status == 200
    assert (await ask(app, "GET", "/api/about", cookie=cookie)).status == 200


async def test_logging_out_takes_the_cookie_away(app: ASGIApp) -> None:
    done = await log_in(app, token=TOKEN)
    cookie = done.headers["set-cookie"].partition(";")[0]
    assert (await ask(app, "POST", "/logout", cookie=cookie)).status == 403
    out = await ask(app, "POST", "/logout", cookie=cookie, **OURS)
    assert (out.status, out.headers["location"]) == (303, "/login")
    assert f'{cookie.partition("=")[0]}="";' in out.headers["set-cookie"]
    assert "Max-Age=0" in out.headers["set-cookie"]


async def test_the_form_takes_away_a_cookie_that_is_over(app: ASGIApp) -> None:
    done = await log_in(app, token=TOKEN)
    cookie = done.headers["set-cookie"].partition(";")[0]
    assert "set-cookie" not in (await ask(app, "GET", "/login", cookie=cookie)).headers
    await ask(app, "POST", "/logout", cookie=cookie, **OURS)
    form = await ask(app, "GET", "/login", cookie=cookie)
    assert "Max-Age=0" in form.headers["set-cookie"]
    assert "set-cookie" not in (await ask(app, "GET", "/login")).headers


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({"x_forwarded_proto": "https"}, True),
        ({"forwarded": "for=10.0.0.1;proto=https;by=10.0.0.2"}, True),
        ({"x_forwarded_proto": "http"}, False),
    ],
)
async def test_behind_a_proxy_with_tls_the_cookie_needs_tls(
    app: ASGIApp, headers: dict[str, str], secure: bool
) -> None:
    done = await log_in(app, {**OURS, **headers}, token=TOKEN)
    assert ("Secure" in done.headers["set-cookie"]) is secure


async def test_a_wrong_token_leads_back(app: ASGIApp) -> None:
    wrong = await log_in(app, token="wrong", next="/device?id=a")
    assert (wrong.status, wrong.headers["location"]) == (
        303,
        "/login?next=%2Fdevice%3Fid%3Da&wrong=1",
    )
    assert "set-cookie" not in wrong.headers
    for _ in range(20):
        slowed = await log_in(app)
    assert slowed.headers["location"] == "/login?next=%2F&slow=1"
    assert "set-cookie" not in (await log_in(app, token=TOKEN)).headers


@pytest.mark.parametrize("body", [b"\xff=%ff", b"token", b"x" * 10_000, b"a=1&" * 20, b""])
async def test_what_is_no_form_is_no_login(app: ASGIApp, body: bytes) -> None:
    answer = await ask(app, "POST", "/login", body, **OURS)
    assert (answer.status, "set-cookie" in answer.headers) == (303, False)


@pytest.mark.parametrize("headers", [{}, {"origin": "http://evil.example"}, {"origin": "null"}])
async def test_a_form_of_somebody_else_logs_nobody_in(app: ASGIApp, headers: Any) -> None:
    assert (await log_in(app, headers, token=TOKEN)).status == 403


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "http://evil.example", "/\t/evil", "x", "/a b"]
)
async def test_nobody_is_led_elsewhere(app: ASGIApp, wanted: str) -> None:
    assert (await log_in(app, token=TOKEN, next=wanted)).headers["location"] == "/"


async def test_where_nobody_needs_a_token_there_is_no_login() -> None:
    app = app_with(None)
    for method in ("GET", "POST"):
        answer = await ask(app, method, "/login" if method == "GET" else "/logout")
        assert (answer.status, answer.headers["location"]) == (303, "/")


# -- the file


def test_the_file_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    path = token_file(settings, loopback=False)
    assert path == tmp_path / "data" / TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = read_token(path, least=LENGTH_MIN)
    assert len(token) == 64
    assert token_file(settings, loopback=False) == path
    assert read_token(path, least=LENGTH_MIN) == token
    assert [entry.name for entry in path.parent.iterdir()] == [TOKEN_FILE]


def test_a_disk_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    settings = Settings(data=tmp_path / "data")
    path = token_file(settings, loopback=False)
    assert len(read_token(path, least=LENGTH_MIN)) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(cookie_key(settings)) == 32
    assert {entry.name for entry in path.parent.iterdir()} == {TOKEN_FILE, KEY_FILE}


def test_the_key_of_cookies_is_kept_where_there_is_a_place(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    key = cookie_key(settings)
    assert cookie_key(settings) == key
    assert stat.S_IMODE((tmp_path / "data" / KEY_FILE).stat().st_mode) == 0o600
    others = [cookie_key(Settings(data=None)), cookie_key(Settings(data=None))]
    assert len({key, *others}) == 3
    assert {len(one) for one in (key, *others)} == {32}


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff", b"00", None])
def test_a_key_that_is_none_is_replaced_and_told(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / KEY_FILE).mkdir()
    else:
        (tmp_path / KEY_FILE).write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        assert len(cookie_key(Settings(data=tmp_path))) == 32
    assert [line["log_level"] for line in logs] == ["warning"]


def test_on_loopback_there_is_none_unless_one_is_given(tmp_path: Path) -> None:
    assert token_file(Settings(data=tmp_path), loopback=True) is None
    given = tmp_path / "token"
    assert token_file(Settings(http_token_file=given), loopback=True) == given
    assert list(tmp_path.iterdir()) == []


def test_beyond_loopback_it_needs_a_place() -> None:
    with pytest.raises(SetupError, match="need a token: --http-token-file, or a data folder"):
        token_file(Settings(data=None), loopback=False)


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="file/data/http-token: Not a directory"):
        token_file(Settings(data=tmp_path / "file" / "data"), loopback=False)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "needs 16 to 512 characters"),
        (b"short\n", "needs 16 to 512 characters"),
        (b"x" * (TOKEN_MAX + 1), "needs 16 to 512 characters"),
        (b"two words that are long", "not one word"),
        (b"line after line\nline", "not one word"),
        (b"\xff" * 32, "not ASCII"),
        (None, "No such file"),
    ],
)
def test_what_is_no_token_is_said(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SetupError, match=reason) as raised:
        read_token(path, least=LENGTH_MIN)
    assert raised.value.path == path


def test_the_token_is_read_anew_but_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    settings = Settings(http_token_file=path, data=tmp_path / "data")
    way = endpoint(settings, ("127.0.0.1", 80))
    login = way.entry.login
    assert login is not None
    path.write_text("short")
    with structlog.testing.capture_logs() as logs:
        way.reload()
    assert "needs 16" in logs[0]["reason"]
    assert login.is_token(TOKEN)
    path.write_text("f" * 16)
    way.reload()
    assert login.is_token("f" * 16)


async def test_a_form_that_does_not_come_is_not_waited_for(
    app: ASGIApp, autojump_clock: MockClock
) -> None:
    answer = await ask(app, "POST", "/login", [b"token=", b""], **OURS)
    assert (answer.status, trio.current_time()) == (303, FORM_S)
    assert answer.headers["location"] == "/login?next=%2F&wrong=1"
