"""Names that lead to private addresses, and servers that speak SHOUTcast 1."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from clip_sounds import chirp, heard, similarity, write_sound
from hypothesis import given
from hypothesis import strategies as st
from web_stations import Asked, Station, file, listening, on_air, redirect, stream

from audio_server.clips import web_transport
from audio_server.clips.errors import ClipError
from audio_server.clips.live_encoder import web_packets
from audio_server.clips.web_address import Addresses, AddressRefused
from audio_server.clips.web_source import StreamBroke, open_web
from audio_server.clips.web_transport import without_metadata

SOUND = chirp(48_000, 1.3)
TITLE = b"StreamTitle='A - B';".ljust(32, b"\0")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def station() -> Iterator[Station]:
    with on_air() as station:
        yield station


@pytest.fixture
def mp3(tmp_path: Path) -> bytes:
    return write_sound(tmp_path / "tone.mp3", SOUND, codec="libmp3lame").read_bytes()


def with_titles(data: bytes, interval: int) -> bytes:
    """A title after the first part of the sound, and none after the others."""
    parts = [data[at : at + interval] for at in range(0, len(data), interval)]
    return parts[0] + b"\x02" + TITLE + b"\0".join(parts[1:])


def heard_of(url: str, *hosts: str) -> list[bytes]:
    """The packets of a stream up to its end, which is none."""
    packets: list[bytes] = []
    with pytest.raises(StreamBroke, match="has ended"), open_web(Addresses(url, hosts)) as source:
        packets.extend(web_packets("live", source))
    return packets


def sounds_right(packets: list[bytes]) -> bool:
    sound = heard(packets)
    part = SOUND[20_000:24_000]
    return max(similarity(part, sound[at : at + 4000]) for at in range(20_000, 23_000, 6)) > 0.9


# -- SHOUTcast 1


def shoutcast(data: bytes, *heads: str, pieces: Sequence[int] = ()) -> Any:
    """An answer as SHOUTcast 1 gives it, the first bytes of it in pieces."""

    def answer(asked: Asked) -> None:
        asked.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = "\r\n".join(["ICY 200 OK", "icy-notice1:<BR>a notice", "icy-br:128", *heads])
        whole = head.encode() + b"\r\n\r\n" + data
        for size in pieces:
            asked.connection.sendall(whole[:size])
            asked.server.over.wait(0.02)
            whole = whole[size:]
        asked.connection.sendall(whole)

    return answer


@pytest.mark.parametrize("pieces", [(), (1, 1, 1), (2,), (4, 7)])
def test_a_server_of_shoutcast_1(station: Station, mp3: bytes, pieces: tuple[int, ...]) -> None:
    station.answers["/"] = shoutcast(mp3, "content-type:audio/mpeg", pieces=pieces)
    assert sounds_right(heard_of(station.url("/")))


@pytest.mark.parametrize("interval", [1, 417, 8192])
def test_titles_within_the_sound_are_no_sound(station: Station, mp3: bytes, interval: int) -> None:
    head = f"icy-metaint:{interval}"
    station.answers["/plain"] = stream(mp3)
    station.answers["/"] = shoutcast(with_titles(mp3, interval), head, "content-type:audio/mpeg")
    assert heard_of(station.url("/")) == heard_of(station.url("/plain"))


@pytest.mark.parametrize("interval", ["9" * 5000, "-1", "0x10", ""])
def test_an_interval_that_is_none_is_not_kept_to(
    station: Station, mp3: bytes, interval: str
) -> None:
    head = f"icy-metaint:{interval}"
    station.answers["/"] = shoutcast(mp3, head, "content-type:audio/mpeg")
    assert sounds_right(heard_of(station.url("/")))


def test_other_protocols_are_not_taken_for_it(station: Station) -> None:
    station.answers["/"] = lambda asked: asked.connection.sendall(b"ICX 200 OK\r\n\r\n")
    with pytest.raises(StreamBroke, match="has broken off"), open_web(Addresses(station.url("/"))):
        pass


@given(
    st.binary(min_size=1, max_size=200),
    st.integers(1, 50),
    st.integers(1, 40),
    st.lists(st.integers(0, 3), min_size=200, max_size=200),
)
def test_titles_are_left_out_however_bytes_come(
    sound: bytes, interval: int, step: int, sizes: list[int]
) -> None:
    sent = b""
    for at, size in zip(range(0, len(sound), interval), sizes, strict=False):
        part = sound[at : at + interval]
        title = bytes([size]) + b"t" * 16 * size
        sent += part + (title if len(part) == interval else b"")
    parts = (sent[at : at + step] for at in range(0, len(sent), step))
    assert b"".join(without_metadata(parts, interval)) == sound


# -- names that lead to private addresses


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses of names; one with several is resolved to each in turn, and then to the last."""
    known: dict[str, list[str]] = {}

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        found = known[host]
        address = found.pop(0) if len(found) > 1 else found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))]

    class Resolver:
        SOCK_STREAM = socket.SOCK_STREAM
        getaddrinfo = staticmethod(resolve)

    monkeypatch.setattr(web_transport, "socket", Resolver)
    return known


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "0.0.0.0"])
def test_a_name_of_the_web_with_a_private_address(
    names: dict[str, list[str]], address: str
) -> None:
    names["radio.example.org"] = [address]
    trap, at = listening()
    url = f"http://radio.example.org:{at.rpartition(':')[2]}/live"
    reason = f"{address}, which is no address of the web .--allow-host radio.example.org allows it"
    for hosts in ((), ("*",), ("*.example.org",)):
        with pytest.raises(AddressRefused, match=reason), open_web(Addresses(url, hosts)):
            pass
    with trap, pytest.raises(BlockingIOError):
        trap.accept()


@pytest.mark.parametrize("allowed", ["radio.example.org", "RADIO.example.org", "127.0.0.1"])
def test_it_may_be_allowed(
    station: Station, mp3: bytes, names: dict[str, list[str]], allowed: str
) -> None:
    names["radio.example.org"] = ["127.0.0.1"]
    station.answers["/live"] = stream(mp3)
    assert heard_of(station.url("/live", host="radio.example.org"), allowed)


@pytest.mark.parametrize(
    "host", ["radio", "radio.lan", "radio.local", "Radio.Home.Arpa", "localhost"]
)
def test_names_of_a_network_of_its_own_lead_anywhere(
    station: Station, mp3: bytes, names: dict[str, list[str]], host: str
) -> None:
    names[host.lower()] = ["127.0.0.1"]
    station.answers["/live"] = stream(mp3)
    assert heard_of(station.url("/live", host=host))


def test_a_name_that_leads_elsewhere_the_next_time(
    station: Station, mp3: bytes, names: dict[str, list[str]]
) -> None:
    """The connection breaks, and the name then has another address (DNS rebinding)."""
    names["radio.example.org"] = ["127.0.0.1", "127.0.0.2"]
    station.answers |= {"/old": redirect("/live"), "/live": file(mp3)}
    url = station.url("/old", host="radio.example.org")
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
        open_web(Addresses(url, ("127.0.0.1",))).__enter__()
    assert station.asked == ["/old"]


@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fec0::1", False),
        ("64:ff9b:1::7f00:1", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("192.168.1.1", False),
    ],
)
def test_addresses_of_the_web(address: str, is_good: bool) -> None:
    addresses = Addresses("http://radio.example.org/live")
    if is_good:
        addresses.check_address("radio.example.org", address)
    else:
        with pytest.raises(ClipError):
            addresses.check_address("radio.example.org", address)


def test_a_proxy_of_the_user_is_used(
    station: Station, mp3: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It resolves names itself, so those of the web need no address here."""
    monkeypatch.setenv("http_proxy", station.url(""))
    station.answers["http://radio.example.org/live"] = stream(mp3)
    assert heard_of("http://radio.example.org/live")
