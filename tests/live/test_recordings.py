"""The folder of recordings: whole after a kill at any byte, within its bounds, and nothing else."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from audio_server.clips.ogg import LAST, last_page, read_pages
from audio_server.clips.ogg_opus import read_opus
from audio_server.live.recordings import SHARE_MIN_BYTES, NoSuchRecording, Recordings

MIB = 1 << 20
PACKETS = [b"\xf8" + number.to_bytes(4, "big") * 30 for number in range(1000)]


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path / "recordings", MIB, 1000.0)


def write(recordings: Recordings, channel: str = "radio", *, ends: bool = True) -> str:
    """A recording of all packets, in three writes."""
    file = recordings.begin(channel)
    file.write(PACKETS[:99])
    file.write(PACKETS[99:400])
    file.write(PACKETS[400:], is_end=ends)
    file.close()
    return file.name


def heard(path: Path) -> list[bytes]:
    return [piece.data for piece in read_opus(io.BytesIO(path.read_bytes()))]


def test_a_recording_is_listed_read_and_deleted(recordings: Recordings) -> None:
    assert recordings.all() == []
    name = write(recordings, "a.b-c")
    path = recordings.folder / name
    assert heard(path) == PACKETS
    (one,) = recordings.all()
    assert (one.name, one.channel, one.seconds) == (name, "a.b-c", 20.0)
    assert one.size_bytes == path.stat().st_size
    assert abs(one.begun - time.time()) < 5
    with recordings.open(name) as file:
        assert file.read() == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert recordings.folder.stat().st_mode & 0o777 == 0o700
    recordings.delete(name)
    assert recordings.all() == []


def test_two_that_begin_in_the_same_second_have_two_names(recordings: Recordings) -> None:
    assert write(recordings) != write(recordings)
    assert len(recordings.all()) == 2


@pytest.mark.parametrize(
    "name", ["", "..", "../modes.db", "radio.opus", "radio-20260101T000000Z.wav", "x/../y"]
)
def test_other_files_are_out_of_reach(recordings: Recordings, name: str) -> None:
    write(recordings)
    (recordings.folder / "radio.opus").write_bytes(b"not ours")
    with pytest.raises(NoSuchRecording):
        recordings.open(name)
    with pytest.raises(NoSuchRecording):
        recordings.delete(name)
    assert len(recordings.all()) == 1
    assert (recordings.folder / "radio.opus").exists()


def test_a_link_is_no_recording(recordings: Recordings, tmp_path: Path) -> None:
    write(recordings)
    secret = tmp_path / "secret"
    secret.write_text("token")
    link = recordings.folder / "radio-20200101T000000Z.opus"
    link.symlink_to(secret)
    assert len(recordings.all()) == 1
    with pytest.raises(NoSuchRecording):
        recordings.open(link.name)


def test_after_a_kill_at_any_byte_the_last_whole_page_is_the_end(recordings: Recordings) -> None:
    name = write(recordings, ends=False)
    path = recordings.folder / name
    whole = path.read_bytes()
    ends, at = [], 0
    for page in read_pages(io.BytesIO(whole)):
        at += 27 + len(page.laces) + len(page.body)
        ends.append((at, max(0, page.granule) // 960))
    assert at == len(whole)
    for cut in [*range(ends[1][0] + 1, ends[3][0] + 2, 97), *range(0, 300, 7), len(whole)]:
        path.write_bytes(whole[:cut])
        recordings.mend()
        packets = max([count for end, count in ends if end <= cut], default=0)
        assert path.exists() == bool(packets)
        if packets:
            assert heard(path) == PACKETS[:packets]
            pages = list(read_pages(io.BytesIO(path.read_bytes())))
            assert [page.flags & LAST for page in pages] == [0] * (len(pages) - 1) + [LAST]
            mended = path.read_bytes()
            recordings.mend()
            assert path.read_bytes() == mended


def test_the_oldest_give_way_and_one_that_is_written_does_not(recordings: Recordings) -> None:
    names = [write(recordings) for _ in range(8)]
    size = recordings.all()[0].size_bytes
    assert recordings.has_room(MIB - 9 * size + 1)
    assert [one.name for one in recordings.all()] == names[::-1]
    assert recordings.has_room(MIB - 5 * size)
    assert [one.name for one in recordings.all()] == names[3:][::-1]
    recordings.running = {names[3]}
    assert recordings.has_room(MIB - 2 * size)
    assert [one.name for one in recordings.all()] == [names[7], names[3]]
    assert not recordings.has_room(MIB)
    assert [one.name for one in recordings.all()] == [names[3]]


def test_small_recordings_are_bounded_in_number(recordings: Recordings) -> None:
    for _ in range(40):
        file = recordings.begin("radio")
        file.write(PACKETS[:1], is_end=True)
        file.close()
        assert recordings.has_room(0)
    assert len(recordings.all()) == MIB // SHARE_MIN_BYTES


def test_old_recordings_are_deleted(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path, MIB, 1000.0)
    (tmp_path / "radio-20200101T000000Z.opus").write_bytes(b"old")
    (tmp_path / "radio-20201399T000000Z.opus").write_bytes(b"no time")
    name = write(recordings)
    assert recordings.has_room(0)
    assert [one.name for one in recordings.all()] == [name]
    assert (tmp_path / "radio-20201399T000000Z.opus").exists()


def test_the_last_page_is_found_whatever_follows() -> None:
    recordings_size = 200_000
    assert last_page(io.BytesIO(os.urandom(recordings_size)), recordings_size) is None
    assert last_page(io.BytesIO(b""), 0) is None
    assert last_page(io.BytesIO(b"OggS" * 50_000), 200_000) is None
