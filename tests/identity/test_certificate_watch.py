"""Certificates that change while a server runs, and those that are about to end."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from grpclib.const import Status
from guarded import device, serving
from papers import KITCHEN, make_papers

from audio_server.errors import SetupError
from audio_server.identity import certificate_watch, dev_certs
from audio_server.identity.certificate_watch import CertificateWatch
from audio_server.settings import Settings

DAY_S = 24 * 3600.0


@pytest.fixture
def own(tmp_path, papers, settings) -> Settings:
    """Settings whose files may be changed: copies of the server's."""
    for name, path in (("c", papers.certs.server.cert), ("k", papers.certs.server.key)):
        shutil.copy(path, tmp_path / name)
    shutil.copy(papers.certs.ca, tmp_path / "a")
    made: Settings = settings(mutual=True)
    return replace(
        made, tls_cert=tmp_path / "c", tls_key=tmp_path / "k", tls_client_ca=tmp_path / "a"
    )


class Seen:
    """What a watch has had done and told."""

    def __init__(self, watch: CertificateWatch) -> None:
        self._watch = watch
        self.reloads = 0
        self.ends: dict[str, float] = {}

    async def looks(self, times: int) -> None:
        """Have it look so often."""
        for _ in range(times):
            await self._watch.look(self._reload, self.ends.__setitem__)

    def _reload(self) -> None:
        self.reloads += 1


def renew(settings: Settings, papers, *, swap: bool) -> None:
    """Put other files in the place of the server's, in a step each, or by writing over them."""
    new = papers.certs.server
    for source, target in ((new.cert, settings.tls_cert), (new.key, settings.tls_key)):
        assert target is not None
        if swap:
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)
        else:
            target.write_bytes(source.read_bytes())


@pytest.mark.parametrize("swap", [True, False])
async def test_new_files_are_read_once(swap, own, strange, logged) -> None:
    seen = Seen(CertificateWatch(own))
    await seen.looks(3)
    assert seen.reloads == 0
    renew(own, strange, swap=swap)
    await seen.looks(3)
    assert seen.reloads == 1
    assert logged == []


BAD = {
    "empty": b"",
    "garbage": b"\xff" * 100,
    "no base64": b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    "huge": b" " * (5 * 1024 * 1024),
}


def make_bad(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "gone":
        path.write_bytes(BAD[kind])


@pytest.mark.parametrize("kind", [*BAD, "folder", "pipe", "gone"])
@pytest.mark.parametrize("name", ["tls_cert", "tls_key", "tls_client_ca"])
async def test_bad_files_change_nothing_and_are_warned_of_once(
    name, kind, own, papers, logged
) -> None:
    seen = Seen(CertificateWatch(own))
    path = getattr(own, name)
    good = path.read_bytes()
    make_bad(path, kind)
    await seen.looks(6)
    assert [entry["event"] for entry in logged] == ["certificates not reloaded"]
    assert logged[0]["reason"].startswith(f"{path}: ")
    assert "\n" not in logged[0]["reason"]
    assert seen.reloads == 0
    path.rmdir() if kind == "folder" else path.unlink(missing_ok=True)
    path.write_bytes(good)
    await seen.looks(3)
    assert (seen.reloads, len(logged)) == (0, 1)  # they are those that are in use
    path.write_bytes(good + b"\n")
    await seen.looks(3)
    assert (seen.reloads, len(logged)) == (1, 1)


async def test_a_key_that_comes_a_moment_after_its_certificate_is_no_fault(
    own, strange, logged
) -> None:
    seen = Seen(CertificateWatch(own))
    own.tls_cert.write_bytes(strange.certs.server.cert.read_bytes())
    await seen.looks(1)
    own.tls_key.write_bytes(strange.certs.server.key.read_bytes())
    await seen.looks(3)
    assert (seen.reloads, logged) == (1, [])


def valid_for(folder: Path, days: float, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a server whose certificate, and that of its authority, end after so long."""
    monkeypatch.setattr(dev_certs, "VALID", dt.timedelta(days=days))
    certs = make_papers(folder).certs
    return Settings(tls_cert=certs.server.cert, tls_key=certs.server.key, tls_client_ca=certs.ca)


async def test_one_that_ends_is_warned_of_once_at_each_threshold(
    tmp_path, monkeypatch, logged
) -> None:
    settings = valid_for(tmp_path, 40, monkeypatch)
    began = dt.datetime.now(dt.UTC).timestamp()
    days = 0.0
    seen = Seen(CertificateWatch(settings, now=lambda: began + days * DAY_S))
    await seen.looks(2)
    assert seen.ends == pytest.approx(
        {"server": began + 40 * DAY_S, "client_ca": began + 40 * DAY_S}, abs=60
    )
    said = []
    for days in (9, 10.5, 11, 33.5, 34, 39.5, 41, 50):  # noqa: B007 (the clock reads it)
        await seen.looks(2)
        said.append([(entry["event"], entry["path"]) for entry in logged])
        logged.clear()
    both = [str(settings.tls_cert), str(settings.tls_client_ca)]
    soon = [("certificate expires soon", path) for path in both]
    over = [("certificate expired", path) for path in both]
    assert said == [[], soon, [], soon, [], soon, over, []]


async def test_one_that_has_ended_says_so_alone(tmp_path, monkeypatch, logged) -> None:
    settings = replace(valid_for(tmp_path, 1, monkeypatch), tls_client_ca=None)
    late = dt.datetime.now(dt.UTC).timestamp() + 2 * DAY_S
    seen = Seen(CertificateWatch(settings, now=lambda: late))
    await seen.looks(2)
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [
        ("certificate expired", "error")
    ]
    assert logged[0]["expires"].endswith("Z")


async def test_a_renewed_one_is_warned_of_anew(tmp_path, monkeypatch, logged) -> None:
    settings = valid_for(tmp_path / "old", 5, monkeypatch)
    seen = Seen(CertificateWatch(replace(settings, tls_client_ca=None)))
    await seen.looks(2)
    newer = valid_for(tmp_path / "new", 400, monkeypatch)
    for name in ("tls_cert", "tls_key"):
        getattr(settings, name).write_bytes(getattr(newer, name).read_bytes())
    await seen.looks(3)
    assert [entry["event"] for entry in logged] == ["certificate expires soon"]
    assert seen.ends["server"] > dt.datetime.now(dt.UTC).timestamp() + 300 * DAY_S


async def test_without_a_certificate_there_is_nothing_to_follow() -> None:
    seen = Seen(CertificateWatch(Settings()))
    await seen.looks(2)
    assert (seen.reloads, seen.ends) == (0, {})


def test_one_that_cannot_be_read_is_a_mistake(tmp_path) -> None:
    for name in ("c", "k"):
        (tmp_path / name).write_bytes(BAD["no base64"])
    with pytest.raises(SetupError):
        CertificateWatch(Settings(tls_cert=tmp_path / "c", tls_key=tmp_path / "k"))


async def shown(port: int, context: ssl.SSLContext) -> bytes | None:
    """The certificate that a server shows."""
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", port, ssl_context=context)
    async with stream:
        await stream.do_handshake()
        return stream.getpeercert(binary_form=True)


async def test_a_server_shows_the_newest_and_keeps_its_devices(
    own, papers, strange, monkeypatch
) -> None:
    monkeypatch.setattr(certificate_watch, "LOOK_S", 0.02)
    with trio.fail_after(60):
        async with (
            serving(own) as server,
            device(server, KITCHEN, context=papers.context(KITCHEN)) as caller,
            caller.events(),
        ):
            context = papers.context(KITCHEN)
            old = await shown(server.port, context)
            renew(own, strange, swap=True)
            while await shown(server.port, context) == old:  # noqa: ASYNC110
                await trio.sleep(0.02)
            assert await caller.ask("StatusStream") == (Status.OK, None)
