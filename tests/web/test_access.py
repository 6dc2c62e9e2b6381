"""Who is let in: the table of what is open, tokens, cookies, and whose page asks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import trio
from asgi import HOST, Answer, ask, scope_of
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message
from structlog.testing import capture_logs

from audio_server.web.access import Access, Admitted
from audio_server.web.edge import SessionEnded
from audio_server.web.ended_sessions import SESSIONS_MAX, EndedSessions
from audio_server.web.login import SESSION_S, Login
from audio_server.web.login_throttle import ADDRESSES_MAX, WRONG, LoginThrottle

TOKEN = "0123456789abcdef"
KEY = b"k" * 32
LOGIN = Login(TOKEN, KEY)
BEARER = {"authorization": f"Bearer {TOKEN}"}
OURS, EVIL = {"origin": f"http://{HOST}"}, {"origin": "http://evil.example"}
APP: ASGIApp = PlainTextResponse("inside\n")


def cookie(login: Login = LOGIN, at: float | None = None) -> dict[str, str]:
    """The cookie of somebody who logged in at that time."""
    value = login.new_cookie(time.time() if at is None else at)
    return {"cookie": f"{login.cookie_name}={value}"}


def gate(*, loopback: bool = False, login: Login | None = LOGIN) -> Access:
    return Access(APP, Admitted(loopback, login))


async def status(app: ASGIApp, method: str, path: str, **headers: str) -> int:
    return (await ask(app, method, path, **headers)).status


@pytest.mark.parametrize(
    ("path", "open_beyond", "open_here"),
    [
        ("/healthz", True, True),
        ("/readyz", True, True),
        ("/login", True, True),
        ("/static/login.js", True, True),
        ("/metrics", False, False),
        ("/", False, False),
        ("/device", False, False),
        ("/logout", False, False),
        ("/api/about", False, False),
        ("/api/devices/changes", False, False),
        ("/api/openapi.json", False, False),
        ("/static", False, False),
        ("/healthz/", False, False),
        ("/nothing", False, False),
    ],
)
async def test_what_is_open(path: str, open_beyond: bool, open_here: bool) -> None:
    for loopback, is_open in ((False, open_beyond), (True, open_here)):
        assert (await status(gate(loopback=loopback), "GET", path) == 200) is is_open
        assert await status(gate(loopback=loopback), "GET", path, **BEARER) == 200
        assert await status(gate(loopback=loopback), "GET", path, **cookie()) == 200
    assert await status(gate(loopback=True, login=None), "GET", path) == 200


@pytest.mark.parametrize("host", ["localhost", HOST, "[::1]", "door.example"])
async def test_metrics_need_the_token_by_whatever_name(host: str) -> None:
    """A proxy on the same machine may pass on any name, or give its own, and add no header: then
    its clients cannot be told from this machine's."""
    assert await status(gate(loopback=True), "GET", "/metrics", host=host) == 401
    assert await status(gate(loopback=True), "GET", "/metrics", host=host, **BEARER) == 200


@pytest.mark.parametrize(
    "header",
    ["x_forwarded_for", "x_forwarded_host", "x_forwarded_proto", "forwarded", "via", "x_real_ip"],
)
async def test_without_a_token_nobody_comes_through_a_proxy(header: str) -> None:
    forwarded, app = {header: "10.0.0.1"}, gate(loopback=True, login=None)
    for path in ("/metrics", "/", "/api/devices", "/device/socket"):
        assert await status(app, "GET", path) == 200
        answer = await ask(app, "GET", path, **forwarded)
        assert (answer.status, "--http-token-file" in answer.text) == (403, True)
    for path in ("/healthz", "/readyz", "/static/login.js"):
        assert await status(app, "GET", path, **forwarded) == 200
    assert await status(gate(loopback=True), "GET", "/", **forwarded, **BEARER) == 200


async def test_browsers_are_shown_the_way_and_machines_are_told() -> None:
    page = await ask(gate(), "GET", "/devices/a?tab=1&x=/y")
    assert (page.status, page.headers["location"]) == (
        303,
        "/login?next=%2Fdevices%2Fa%3Ftab%3D1%26x%3D%2Fy",
    )
    api = await ask(gate(), "GET", "/api/devices")
    assert (api.status, api.headers["www-authenticate"]) == (401, "Bearer")
    assert api.json == {"error": "an operator's token is needed"}
    assert (await ask(gate(), "GET", "/metrics")).text == "an operator's token is needed\n"
    assert await status(gate(), "POST", "/nothing") == 401


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
)
async def test_what_is_no_token(given: str) -> None:
    assert await status(gate(), "GET", "/api/about", authorization=given) == 401
    assert await status(gate(), "GET", "/api/about", **cookie(), authorization=given) == 401
    assert await status(gate(), "GET", "/api/about", authorization=f"bearer  {TOKEN}") == 200


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "1",
        "99999999999.",
        f"99999999999.{'0' * 64}",
        Login("f" * 16, KEY).new_cookie(time.time()),
        Login(TOKEN, b"other").new_cookie(time.time()),
        LOGIN.new_cookie(time.time() - SESSION_S - 1),
        "9" + LOGIN.new_cookie(time.time()),
    ],
    ids=["empty", "dot", "number", "unsigned", "forged", "old token", "other key", "old", "later"],
)
async def test_what_is_no_cookie(value: str) -> None:
    headers = {"cookie": f"{LOGIN.cookie_name}={value}"}
    assert await status(gate(), "GET", "/api/about", **headers) == 401


@pytest.mark.parametrize("beside", ['x="%s"', "x=%s", "%s", ";%s;"])
@pytest.mark.parametrize("much", ["\\" * 16_000, '\\"' * 8_000, ";" * 16_000, "a=b;" * 4_000])
async def test_a_cookie_is_found_beside_much_else_at_once(beside: str, much: str) -> None:
    given = cookie()["cookie"]
    start = time.process_time()
    for value in (f"{beside % much}; {given}", f"{given}; {beside % much}"):
        assert await status(gate(), "GET", "/api/about", cookie=value) == 200
    assert await status(gate(), "GET", "/api/about", cookie=beside % much) == 401
    assert time.process_time() - start < 0.3


async def test_what_was_logged_out_stays_so(tmp_path: Path) -> None:
    file, now = tmp_path / "http-ended", time.time()
    login = Login(TOKEN, KEY, EndedSessions(file))
    ended, other = login.new_cookie(now), login.new_cookie(now)
    await login.end(ended, now)
    await login.end(f"{ended}0", now)
    for one in (login, Login(TOKEN, KEY, EndedSessions(file))):
        assert not one.is_cookie(ended, now)
        assert one.is_cookie(other, now)
    assert file.stat().st_mode & 0o777 == 0o600
    assert ended.partition(".")[2] not in file.read_text()


@pytest.mark.parametrize("text", ["\xff", "nothing", "1 2 3", "soon abc"])
async def test_a_damaged_file_of_ended_sessions_is_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "http-ended"
    file.write_text(text)
    with capture_logs() as logs:
        login = Login(TOKEN, KEY, EndedSessions(file))
    assert len(logs) == 1
    await login.end(cookie := login.new_cookie(time.time()), time.time())
    assert not login.is_cookie(cookie, time.time())


async def test_a_folder_that_is_gone_keeps_nobody_logged_in(tmp_path: Path) -> None:
    login = Login(TOKEN, KEY, EndedSessions(tmp_path / "gone" / "http-ended"))
    given = login.new_cookie(time.time())
    with capture_logs() as logs:
        await login.end(given, time.time())
    assert [line["event"] for line in logs] == ["logout not kept: it counts until a restart"]
    assert not login.is_cookie(given, time.time())


async def test_ended_sessions_are_bounded_and_forgotten_with_their_cookies() -> None:
    sessions = EndedSessions()
    for number in range(SESSIONS_MAX + 1):
        sessions._until[str(number)] = 1000 + number
    await sessions.add("newest", 99999, 0)
    assert len(sessions._until) == SESSIONS_MAX
    assert (sessions.has("0"), sessions.has("newest")) == (False, True)
    await sessions.add("later", 99999, 50_000)
    assert len(sessions._until) == 2


@pytest.mark.parametrize("ends_by", ["logout", "token"])
async def test_what_is_open_ends_with_its_session(ends_by: str) -> None:
    login = Login(TOKEN, KEY)
    given, now = login.new_cookie(time.time()), time.time()
    headers = {"host": HOST, "cookie": f"{login.cookie_name}={given}", **OURS}
    seen: list[str] = []
    sent: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await login.end(login.new_cookie(now), now)  # another browser's
        await receive()
        await (login.end(given, now) if ends_by == "logout" else _changed(login))
        seen.append("before")
        await receive()
        seen.append("after")

    async def receive() -> Message:
        return {"type": "websocket.receive"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = scope_of("WEBSOCKET", "/device/socket", headers, "10.0.0.9")
    with pytest.raises(SessionEnded):
        await Access(app, Admitted(False, login))(scope, receive, send)
    assert (seen, [message["code"] for message in sent]) == (["before"], [4401])


async def _changed(login: Login) -> None:
    login.use("f" * 16)


def test_a_cookie_outlives_a_restart_but_not_its_token() -> None:
    given = LOGIN.new_cookie(1000)
    restarted = Login(TOKEN, KEY)
    assert restarted.cookie_name == LOGIN.cookie_name
    assert restarted.is_cookie(given, 1000 + SESSION_S - 1)
    assert not restarted.is_cookie(given, 1000 + SESSION_S)
    restarted.use("f" * 16)
    assert not restarted.is_cookie(given, 1000)
    assert Login(TOKEN, b"other").cookie_name != LOGIN.cookie_name
    assert restarted.is_token("f" * 16)
    assert not restarted.is_token(TOKEN)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_cookie_alone_changes_nothing(method: str) -> None:
    assert await status(gate(), method, "/api/stop", **cookie()) == 403
    assert await status(gate(), method, "/api/stop", **cookie(), **EVIL) == 403
    assert await status(gate(), method, "/api/stop", **cookie(), **OURS) == 200
    assert await status(gate(), method, "/api/stop", **BEARER) == 200


@pytest.mark.parametrize(
    "foreign",
    [
        EVIL,
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"},
    ],
)
@pytest.mark.parametrize("entry", [Admitted(True), Admitted(False, LOGIN)])
async def test_pages_of_others_get_nothing(foreign: dict[str, str], entry: Admitted) -> None:
    app = Access(APP, entry)
    for headers in (cookie(), BEARER):
        assert await status(app, "GET", "/api/devices/changes", **headers, **foreign) == 403
        assert await status(app, "POST", "/api/stop", **headers, **foreign) == 403


async def test_a_page_without_tls_is_none_of_a_server_with_it() -> None:
    for origin, expected in ((f"https://{HOST}", 200), (f"http://{HOST}", 403)):
        asked = {"scheme": "https", "origin": origin, **cookie()}
        assert await status(gate(), "POST", "/api/stop", **asked) == expected


async def test_to_follow_a_link_is_no_harm() -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    app = gate(loopback=True, login=None)
    assert await status(app, "GET", "/", **link) == 200
    assert await status(app, "POST", "/", **link) == 403
    assert await status(app, "GET", "/", sec_fetch_site="same-origin", **OURS) == 200


async def test_on_loopback_a_command_needs_no_origin() -> None:
    assert await status(gate(loopback=True, login=None), "POST", "/api/stop") == 200


async def test_a_name_that_somebody_gave_to_loopback_is_no_name_of_ours() -> None:
    evil = {"host": "evil.example"}
    assert await status(gate(loopback=True, login=None), "GET", "/healthz", **evil) == 421
    # Whoever needs a token may come through a proxy: a page of another name has no cookie.
    assert await status(gate(loopback=True), "GET", "/api/about", **evil) == 401
    assert await status(gate(loopback=True), "GET", "/api/about", **evil, **BEARER) == 200


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({}, False),
        (OURS, False),
        (cookie(), False),
        ({**cookie(), **EVIL}, False),
        ({**cookie(), **OURS}, True),
        ({**BEARER, **OURS}, True),
        ({**BEARER, **EVIL}, False),
    ],
)
async def test_a_websocket_needs_a_cookie_and_our_page(headers: Any, let_in: bool) -> None:
    scope = scope_of("WEBSOCKET", "/device/socket", {"host": HOST, **headers}, "10.0.0.9")
    sent: list[Message] = []
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def send(message: Message) -> None:
        sent.append(message)

    await Access(app, Admitted(False, LOGIN))(scope, trio.sleep_forever, send)
    assert (seen, sent) == (
        (["websocket"], []) if let_in else ([], [{"type": "websocket.close", "code": 1008}])
    )


# -- wrong tokens


async def wrong(app: ASGIApp, address: str = "10.0.0.9") -> Answer:
    headers = {"authorization": "Bearer wrong"}
    return await ask(app, "GET", "/api/about", address=address, **headers)


async def test_whoever_guesses_is_slowed_and_nobody_else(autojump_clock: Any) -> None:
    app = gate()
    burst, per_s = WRONG
    assert {(await wrong(app)).status for _ in range(burst)} == {401}
    slowed = await wrong(app)
    assert (slowed.status, slowed.headers["retry-after"]) == (429, "2")
    assert await status(app, "GET", "/api/about", **BEARER) == 429  # unseen, or he could go on
    assert await status(app, "GET", "/api/about", **cookie()) == 200
    other = await ask(app, "GET", "/api/about", address="10.0.0.8", **BEARER)
    assert other.status == 200
    await trio.sleep(1 / per_s)
    assert (await wrong(app)).status == 401
    assert (await wrong(app)).status == 429
    await trio.sleep(1 / per_s)
    assert await status(app, "GET", "/api/about", **BEARER) == 200


def test_a_network_of_version_6_is_one_guesser() -> None:
    login_throttle = LoginThrottle()
    for number in range(WRONG[0]):
        login_throttle.count(f"2001:db8::{number:x}", 0)
    assert not login_throttle.are_allowed("2001:db8::ffff", 0)
    assert not login_throttle.are_allowed("2001:db8:0:ff::1", 0)
    assert login_throttle.are_allowed("2001:db8:0:100::1", 0)
    for _ in range(WRONG[0]):
        login_throttle.count("::ffff:10.0.0.1", 0)
    assert not login_throttle.are_allowed("10.0.0.1", 0)
    assert login_throttle.are_allowed("a name", 0)


def test_so_many_are_told_apart_and_no_more() -> None:
    login_throttle = LoginThrottle()
    for number in range(ADDRESSES_MAX):
        login_throttle.count(f"10.0.{number // 256}.{number % 256}", 0)
    for number in range(WRONG[0]):
        assert login_throttle.are_allowed(f"10.1.0.{number}", 0)
        login_throttle.count(f"10.1.0.{number}", 0)
    assert not login_throttle.are_allowed("10.2.0.1", 0)  # the others share one account
    assert login_throttle.are_allowed("10.0.0.1", 0)
    login_throttle.count("10.3.0.1", 100)  # those who kept still are forgotten
    assert login_throttle.are_allowed("10.2.0.1", 100)
