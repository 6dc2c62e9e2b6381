"""Sound of a URL: streams, files and lists, and all that must not be followed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from clip_sounds import chirp, heard, similarity, write_sound
from web_stations import (
    Answer,
    Station,
    chunked,
    file,
    listening,
    on_air,
    redirect,
    silence,
    stream,
    text,
)

from audio_server.clips.errors import ClipError
from audio_server.clips.live_encoder import live_packets, web_packets
from audio_server.clips.web_address import Addresses, AddressRefused, is_web, shown
from audio_server.clips.web_source import StreamBroke, open_web

SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
SOUND = chirp(48_000, 1.3)


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with on_air() as station:
        yield station


@pytest.fixture
def mp3(tmp_path: Path) -> bytes:
    return write_sound(tmp_path / "tone.mp3", SOUND, codec="libmp3lame").read_bytes()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the user's, which is sound: it would be heard if it were opened."""
    return write_sound(tmp_path / "secret.mp3", SOUND, codec="libmp3lame")


def packets_of(url: str, *hosts: str, silent_s: float = 5.0) -> list[bytes]:
    with open_web(Addresses(url, hosts), silent_s) as source:
        return list(web_packets(shown(url), source))


def sounds_right(packets: list[bytes]) -> bool:
    sound = heard(packets)
    part, lags = SOUND[20_000:24_000], range(20_000, 23_000, 6)
    return max(similarity(part, sound[lag : lag + 4000]) for lag in lags) > 0.9


def packets_into(packets: list[bytes], url: str) -> None:
    """Add the packets of a stream, up to its break, which is raised."""
    with open_web(Addresses(url)) as source:
        packets.extend(web_packets("live", source))


# -- streams and files


@pytest.mark.parametrize("make", [stream, chunked])
def test_a_stream_that_breaks_off_is_no_end(station: Station, mp3: bytes, make: Answer) -> None:
    station.answers["/live"] = make(mp3)
    packets: list[bytes] = []
    with pytest.raises(StreamBroke, match=r"has (ended|broken off)"):
        packets_into(packets, station.url("/live"))
    assert sounds_right(packets)


def test_a_stream_that_stalls(station: Station, mp3: bytes) -> None:
    station.answers["/live"] = stream(mp3, stalls=True)
    with pytest.raises(StreamBroke, match="has stopped coming"):
        packets_of(station.url("/live"), silent_s=0.2)


def test_a_server_that_says_nothing(station: Station) -> None:
    station.answers["/live"] = silence()
    with pytest.raises(StreamBroke, match="has stopped coming"):
        packets_of(station.url("/live"), silent_s=0.2)


def test_a_file_ends(station: Station, tmp_path: Path) -> None:
    flac = write_sound(tmp_path / "tone.flac", SOUND, codec="flac")
    station.answers["/tone"] = file(flac.read_bytes())
    with flac.open("rb") as here:
        assert packets_of(station.url("/tone")) == list(live_packets("here", here))


def test_a_file_that_breaks_off_goes_on_there(station: Station, tmp_path: Path) -> None:
    flac = write_sound(tmp_path / "tone.flac", SOUND, codec="flac").read_bytes()
    station.answers |= {"/whole": file(flac), "/cut": file(flac, cut_at=20_000)}
    assert packets_of(station.url("/cut")) == packets_of(station.url("/whole"))
    assert station.asked.count("/cut") > station.asked.count("/whole")


def test_a_file_whose_index_is_at_its_end(station: Station, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.m4a", SOUND, codec="aac", container="mp4")
    station.answers["/tone"] = file(path.read_bytes(), kind="audio/mp4")
    assert sounds_right(packets_of(station.url("/tone")))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no sound at all\n" * 500, "cannot be read"),
        (os.urandom(50_000), "cannot be read"),
        (b"", "cannot be read"),
        (b"ffconcat version 1.0\nfile secret.mp3\n", "cannot be read"),
        (SDP, "cannot be read"),
    ],
)
def test_garbage(station: Station, body: bytes, reason: str) -> None:
    station.answers["/live"] = stream(body)
    with pytest.raises(ClipError, match=reason):
        packets_of(station.url("/live"))


def test_a_refusal_has_its_status_and_no_password(station: Station) -> None:
    url = station.url("/live").replace("//", "//me:secret@")
    with pytest.raises(ClipError, match=r"/live: is answered 404 Not Found") as raised:
        packets_of(url)
    assert "secret" not in str(raised.value)


def test_a_host_that_is_not_there() -> None:
    trap, address = listening()
    trap.close()
    with pytest.raises(StreamBroke, match="cannot be reached"):
        packets_of(f"http://{address}/live")


# -- redirects and lists that may be followed


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/old", redirect("/live")),
        ("/a.m3u", text("#EXTM3U\n#EXTINF:-1,Radio\nlive\n")),
        ("/plain.m3u", text("\n# a comment\nlive\n", "audio/x-mpegurl")),
        ("/a.pls", text("[playlist]\nNumberOfEntries=1\nFile1=/live\n", "audio/x-scpls")),
        ("/bom.pls", text("\ufeff[Playlist]\r\nfile1 = /live\r\n")),
    ],
)
def test_the_way_to_a_stream(station: Station, mp3: bytes, path: str, answer: Answer) -> None:
    station.answers |= {path: answer, "/live": file(mp3)}
    assert sounds_right(packets_of(station.url(path)))


def test_another_host_needs_to_be_allowed(station: Station, mp3: bytes) -> None:
    other = station.url("/live", host="localhost")
    station.answers |= {
        "/old": redirect(other),
        "/a.pls": text(f"[playlist]\nFile1={other}\n"),
        "/live": file(mp3),
    }
    for path in ("/old", "/a.pls"):
        with pytest.raises(AddressRefused, match="--allow-host localhost allows it"):
            packets_of(station.url(path))
        assert "/live" not in station.asked
    for hosts in (("localhost",), ("*.example.org", "local*"), ("LOCALHOST",)):
        assert sounds_right(packets_of(station.url("/old"), *hosts))


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"/live": redirect("/live")}, "from redirect to redirect"),
        ({"/live": text("#EXTM3U\n/live\n")}, "from list to list"),
        ({"/live": text("#EXTM3U\n#nothing\n")}, "names no stream"),
        ({"/live": text("[playlist]\n")}, "names no stream"),
        ({"/live": text("#EXTM3U\n" + "#x\n" * 400_000)}, "a list that has no end"),
        ({"/live": text("#EXTM3U\nhttp://[::\n")}, "leads to"),
        ({"/live": redirect("http://[::")}, "leads to"),
    ],
)
def test_a_way_to_nowhere(station: Station, answers: dict[str, Answer], reason: str) -> None:
    station.answers |= answers
    with pytest.raises(ClipError, match=reason):
        packets_of(station.url("/live"))
    assert len(station.asked) <= 10


# -- HLS


@pytest.fixture
def hls(station: Station, tmp_path: Path) -> str:
    """A list of parts, which has an end."""
    options = {"hls_time": "0.5", "hls_list_size": "0"}
    folder = tmp_path / "hls"
    folder.mkdir()
    path = write_sound(
        folder / "a.m3u8", SOUND, codec="aac", container="hls", container_options=options
    )
    for part in folder.glob("*.ts"):
        station.answers[f"/{part.name}"] = file(part.read_bytes(), kind="video/mp2t")
    return path.read_text()


def test_hls_is_heard(station: Station, hls: str) -> None:
    station.answers["/a.m3u8"] = text(hls, "application/vnd.apple.mpegurl")
    assert sounds_right(packets_of(station.url("/a.m3u8")))
    assert "/a0.ts" in station.asked


def test_a_choice_of_hls_is_heard(station: Station, hls: str) -> None:
    station.answers["/a.m3u8"] = text(hls)
    choice = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000\na.m3u8\n"
    station.answers["/all.m3u8"] = text(choice)
    assert sounds_right(packets_of(station.url("/all.m3u8")))


def test_hls_that_grows_and_then_is_gone(station: Station, hls: str) -> None:
    station.answers["/a.m3u8"] = text(hls.replace("#EXT-X-ENDLIST", "").replace("a2.ts", "b.ts"))
    with pytest.raises(ClipError, match="is answered 404"):
        packets_of(station.url("/a.m3u8"))


# -- local files and other protocols


def secret_ways(url: str, hls: str) -> dict[str, Answer]:
    """All ways by which a stream could lead to a URL."""
    first_part = "a0.ts"
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF'
    return {
        "/redirect": redirect(url),
        "/a.m3u": text(f"#EXTM3U\n{url}\n"),
        "/a.pls": text(f"[playlist]\nFile1={url}\n"),
        "/a.m3u8": text(hls.replace(first_part, url)),
        "/later.m3u8": text(hls.replace("a1.ts", url)),
        "/key.m3u8": text(hls.replace("#EXTINF", key, 1)),
        "/map.m3u8": text(hls.replace("#EXTINF", f'#EXT-X-MAP:URI="{url}"\n#EXTINF', 1)),
        "/all.m3u8": text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000\n{url}\n"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "file://{path}",
        "{path}",
        "concat:{path}",
        "subfile,,start,0,end,0,,:{path}",
        "data:audio/mpeg;base64,{data}",
        "crypto+file://{path}",
        "pipe:0",
        "unix://{path}",
        "async:file://{path}",
    ],
)
def test_nothing_leads_to_a_local_file(
    station: Station, hls: str, secret: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = kind.format(path=secret, data="SUQzBAAAAAAA")
    station.answers |= secret_ways(url, hls)
    for path in secret_ways(url, hls):
        with pytest.raises(ClipError) as raised:
            packets_of(station.url(path), "*")
        assert not isinstance(raised.value, StreamBroke), (path, str(raised.value))


@pytest.mark.parametrize("protocol", ["tcp", "rtsp", "ftp", "gopher", "rtmp", "udp", "http"])
def test_nothing_leads_to_another_server(station: Station, hls: str, protocol: str) -> None:
    trap, address = listening()
    with trap:
        url = f"{protocol}://{address.replace('127.0.0.1', 'localhost')}/x"
        station.answers |= secret_ways(url, hls)
        for path in secret_ways(url, hls):
            with pytest.raises(ClipError):
                packets_of(station.url(path))
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_files_and_pipes_lead_nowhere(secret: Path, hls: str, tmp_path: Path) -> None:
    for content in (
        f"ffconcat version 1.0\nfile {secret.name}\n",
        f"#EXTM3U\n#EXTINF:1\n{secret}\n",
        hls,
    ):
        path = tmp_path / "list.txt"
        path.write_text(content)
        with path.open("rb") as opened, pytest.raises(ClipError, match="cannot be read"):
            list(live_packets("list", opened))


# -- addresses


@pytest.mark.parametrize(
    ("own", "hosts", "to", "is_good"),
    [
        ("http://a.org/x", (), "http://a.org/y", True),
        ("http://a.org/x", (), "http://A.ORG:8000/y", True),
        ("http://a.org/x", (), "https://a.org/y", True),
        ("https://a.org/x", (), "http://a.org/y", False),
        ("https://a.org/x", ("a.org",), "http://a.org/y", True),
        ("http://a.org/x", (), "http://b.org/y", False),
        ("http://a.org/x", (), "http://a.org.b.org/y", False),
        ("http://a.org/x", (), "http://a.org@b.org/y", False),
        ("http://a.org/x", ("*.b.org",), "http://cdn.b.org/y", True),
        ("http://a.org/x", ("*.b.org",), "http://b.org.c/y", False),
        ("http://a.org/x", ("*",), "file:///etc/passwd", False),
        ("http://a.org/x", ("*",), "http:///etc/passwd", False),
        ("http://a.org/x", ("*",), "HTTP://b.org/", True),
    ],
)
def test_addresses(own: str, hosts: tuple[str, ...], to: str, is_good: bool) -> None:
    addresses = Addresses(own, hosts)
    if is_good:
        addresses.check(to)
    else:
        with pytest.raises(AddressRefused):
            addresses.check(to)


def test_sources_that_are_urls() -> None:
    assert is_web("http://a.org")
    assert is_web("HTTPS://a.org/x")
    assert not any(map(is_web, ("file:///x", "a.mp3", "http", "rtsp://a.org", "http.mp3")))


def test_no_thread_is_left(station: Station, mp3: bytes) -> None:
    station.answers["/live"] = file(mp3)
    before = threading.active_count()
    packets_of(station.url("/live"))
    assert threading.active_count() <= before + 1
