"""URLs of engines: those that are right, and the words for those that are not."""

from __future__ import annotations

import pytest

from audio_server.cluster.engine import Engine, Place, parse_engine

SECRET = "not-to-be-shown"


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        ("redis://host", Engine((Place("host", 6379),))),
        ("redis://host:7000/0", Engine((Place("host", 7000),))),
        ("rediss://me@[::1]:7000", Engine((Place("::1", 7000),), is_tls=True, user="me")),
        ("redis://a%40b@host", Engine((Place("host", 6379),), user="a@b")),
        (
            "redis+sentinel://one,two:7000/main",
            Engine((Place("one", 26379), Place("two", 7000)), primary="main"),
        ),
        (
            "rediss+sentinel://me@one/main",
            Engine((Place("one", 26379),), is_tls=True, user="me", primary="main"),
        ),
    ],
)
def test_an_engine_has_an_address(url: str, engine: Engine) -> None:
    assert parse_engine(url) == engine


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "redis:host",
        "http://host",
        "redis://",
        "redis://host:x",
        "redis://host:0",
        "redis://host:70000",
        "redis://one,two",
        "redis://host/1",
        "redis://[::1",
        "redis://host?db=1",
        "redis+sentinel://host",
        "redis+sentinel://host/",
        "redis+sentinel://host,/main",
        "redis+sentinel://host/a b",
        "redis://ho st",
        f"redis://:{SECRET}@host",
        f"redis://me:{SECRET}@host",
        f"redis://me:{SECRET}@host:x/3?y",
    ],
)
def test_another_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"the form is|password|database 0|Sentinels") as raised:
        parse_engine(url)
    assert SECRET not in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_an_engine_is_shown_without_its_user() -> None:
    assert str(parse_engine("rediss+sentinel://me@one,[::1]:7/main")) == "one:26379,[::1]:7/main"
