"""Tags say nothing about the sound: a file with tags in any encoding is a clip."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from clip_sounds import chirp, heard, ogg_edited, sent, similarity, write_sound

from audio_server.clips.loader import load_clips

SOUND = chirp(48_000, 1.0)
LATIN_1 = "Café".encode("latin-1")


def mp3(path: Path) -> bytes:
    options = {"write_xing": "0", "id3v2_version": "0", "write_id3v1": "0"}
    write_sound(path, SOUND, codec="libmp3lame", container="mp3", container_options=options)
    return path.read_bytes()


def id3v1(path: Path) -> None:
    path.write_bytes(mp3(path) + (b"TAG" + LATIN_1).ljust(128, b"\0"))


def id3v2(frame: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        head = b"ID3\3\0\0" + bytes([len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0)])
        path.write_bytes(head + frame + mp3(path))

    return write


def id3_text(encoding: int, text: bytes) -> bytes:
    return b"TIT2" + struct.pack(">IH", len(text) + 1, 0) + bytes([encoding]) + text


def riff_info(path: Path) -> None:
    sound = write_sound(path, SOUND, container="wav").read_bytes()
    text = LATIN_1.ljust(6, b"\0")
    info = b"INFOINAM" + struct.pack("<I", len(text)) + text
    body = sound[8:] + b"LIST" + struct.pack("<I", len(info)) + info
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def vorbis_comment(codec: str, container: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_sound(path, SOUND, codec=codec, container=container, title="Cafe")
        data = path.read_bytes()
        if container == "ogg":
            path.write_bytes(ogg_edited(data, b"title=Cafe", b"title=" + LATIN_1))
        else:
            path.write_bytes(data.replace(b"Cafe", LATIN_1))

    return write


def picture(path: Path) -> None:
    """A cover of 10 MB, which is no picture at all."""
    frame = b"APIC" + struct.pack(">IH", 10_000_000, 0)
    id3v2((frame + b"\0image/png\0\3\0").ljust(10_000_010, b"\xff"))(path)


TAGS: dict[str, Callable[[Path], object]] = {
    "ID3v1 in Latin-1": id3v1,
    "ID3v2 that says UTF-8 and is not": id3v2(id3_text(3, LATIN_1)),
    "ID3v2 of half a UTF-16 character": id3v2(id3_text(1, b"\xff\xfeC\0\0\xd8")),
    "ID3v2 of an unknown encoding": id3v2(id3_text(77, LATIN_1)),
    "ID3v2 frame that is longer than its tag": id3v2(b"TIT2\x7f\x7f\x7f\x7f\0\0\3x"),
    "ID3v2 of junk": id3v2(b"\xff\xfe\xfd" * 50),
    "RIFF INFO in Latin-1": riff_info,
    "Vorbis comment in Latin-1 (Opus)": vorbis_comment("libopus", "ogg"),
    "Vorbis comment in Latin-1 (FLAC)": vorbis_comment("flac", "flac"),
    "Matroska title in Latin-1": vorbis_comment("flac", "matroska"),
    "MP4 title in Latin-1": vorbis_comment("aac", "mp4"),
    "a picture of 10 MB": picture,
}


@pytest.mark.parametrize("tag", TAGS)
async def test_a_tag_never_decides_over_the_sound(tmp_path: Path, tag: str) -> None:
    TAGS[tag](tmp_path / "a")
    (clip,) = await load_clips(tmp_path, cache=tmp_path / ".cache")
    sound = heard([packet.data for packet in sent(clip)])
    assert len(sound) == pytest.approx(len(SOUND), abs=3500)
    assert max(similarity(sound[lag::8], SOUND[::8]) for lag in range(200, 3000, 8)) > 0.95
