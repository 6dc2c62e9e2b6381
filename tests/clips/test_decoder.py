"""Decoding is untrusted work: in a process with limits, which is gone when its work is."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
import trio
from clip_sounds import chirp, packets_for, write_sound
from mp4_files import mp4_of

from audio_server.clips import decoder, decoder_handle, decoder_process
from audio_server.clips.decoder import Decoder, open_decoder
from audio_server.clips.encoded_clip import EncodedClip
from audio_server.clips.errors import ClipDamaged, ClipError, ClipTooLarge, NotSound
from audio_server.clips.faults import Fault, Refused
from audio_server.clips.ingest import ingest as ingest_here
from audio_server.clips.records import AS_IT_IS, INGEST, Kind, RecordReader, encode_record

SOUND = chirp(48_000, 0.5)


async def ingest(path: Path, one: Decoder | None = None, max_packets: int = 1000) -> EncodedClip:
    with path.open("rb") as file:
        if one is not None:
            return await one.ingest(path, file, max_packets=max_packets)
        async with open_decoder() as another:
            return await another.ingest(path, file, max_packets=max_packets)


@contextmanager
def cpu_below(seconds: float) -> Iterator[None]:
    """All processes that end in the block use less CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < seconds


BOMBS = {
    "an index of 30 million samples": mp4_of(samples=30_000_000),
    "three of them": mp4_of(samples=10_000_000, tracks=3),
    "500,000 packets of a sample": mp4_of(samples=1000, chunks=500),
    "12 million packets of a sample": mp4_of(samples=400, chunks=30_000),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_small_file_costs_little(tmp_path: Path, bomb: str) -> None:
    (tmp_path / "a.m4a").write_bytes(BOMBS[bomb])
    # An index that gets no memory is none, and then there are no samples.
    reason = "has no sound in it|too much memory|too long for its length"
    with cpu_below(5.0), pytest.raises(ClipDamaged, match=reason):
        await ingest(tmp_path / "a.m4a")


SCRIPTS = {
    "makes up sound": b"-SE\nbase: 100+10/50\nnow base\n",
    "list of files": b"ffconcat version 1.0\nfile /etc/hostname\n",
    "HLS": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/hostname\n",
    "DASH": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "subtitles": b"1\n00:00:00,000 --> 00:00:09,000\nHello\n",
    "FFmpeg's metadata": b";FFMETADATA1\ntitle=x\n",
    "picture": b"P6\n1 1\n255\n\0\0\0",
    "GIF": b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_what_is_no_format_of_sound_is_refused(tmp_path: Path, script: str) -> None:
    (tmp_path / "a").write_bytes(SCRIPTS[script])
    with pytest.raises(NotSound, match=r"cannot be read as sound \(an unknown format"):
        await ingest(tmp_path / "a")


async def test_a_process_serves_file_after_file_and_refusals_do_not_end_it(tmp_path: Path) -> None:
    good = write_sound(tmp_path / "a.flac", SOUND, codec="flac")
    (tmp_path / "b").write_bytes(b"no sound" * 99)
    async with open_decoder() as one:
        for _ in range(3):
            assert len((await ingest(good, one)).packets) == packets_for(len(SOUND))
            process = one._process
            with pytest.raises(NotSound):
                await ingest(tmp_path / "b", one)
            assert one._process is process
    assert process is not None
    assert process._process.returncode == -signal.SIGKILL  # gone, and waited for


async def test_more_sound_than_allowed_is_stopped(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", SOUND)
    with pytest.raises(ClipTooLarge, match=r"is longer than 0\.004 minutes$"):
        await ingest(path, max_packets=12)


async def test_a_video_with_its_subtitles_and_its_sound(tmp_path: Path) -> None:
    """Nothing is imported for a stream once no file can be opened any more."""
    (tmp_path / "a.srt").write_bytes(SCRIPTS["subtitles"])
    source = ["-f", "lavfi", "-i", "testsrc=d=0.5:s=64x48", "-f", "lavfi", "-i", "sine=d=0.5"]
    command = ["ffmpeg", "-v", "error", *source, "-i", tmp_path / "a.srt", tmp_path / "a.mkv"]
    await trio.run_process(command)
    assert len((await ingest(tmp_path / "a.mkv")).packets) == pytest.approx(26, abs=1)


# -- processes that go wrong


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has a program, in place of a decoder, answer with `say(kind, data)`."""
    head = (
        "import os, signal, socket, sys, time\n"
        "from audio_server.clips.records import *\n"
        "channel = socket.socket(fileno=1)\n"
        "say = lambda kind, data=b'': channel.sendall(encode_record(kind, data))\n"
    )

    def program(code: str) -> None:
        monkeypatch.setattr(decoder_handle, "_COMMAND", (sys.executable, "-c", head + code))

    return program


READY = "say(Kind.READY); channel.recvmsg(1, 99)\n"
LIES: dict[str, tuple[str, type[ClipError], str]] = {
    "no start": ("1 / 0", ClipError, r"cannot be decoded: the decoder does not start \(1\)"),
    "no ready": ("say(Kind.PACKET, b'x')", ClipDamaged, "the decoder fail"),
    "dies": (READY + "os.kill(os.getpid(), 11)", ClipDamaged, "it made the decoder fail"),
    "dies of time": (READY + "os.kill(os.getpid(), signal.SIGXCPU)", ClipDamaged, "too long"),
    "dies of memory": (READY + "os.kill(os.getpid(), 9)", ClipDamaged, "too much memory"),
    "ends": (READY, ClipDamaged, "made the decoder fail"),
    "no record": (READY + "channel.sendall(b'x' * 99999)", ClipDamaged, "the decoder fail"),
    "bad packet": (READY + "say(Kind.PACKET, b'\\xf8' * 2000)", ClipDamaged, "the decoder fail"),
    "empty packet": (READY + "say(Kind.PACKET)", ClipDamaged, "the decoder fail"),
    "levels": (READY + "say(Kind.LEVELS, b'1234')", ClipDamaged, "the decoder fail"),
    "bad facts": (READY + "say(Kind.DONE, b'[1]')", ClipDamaged, "the decoder fail"),
    "no facts": (READY + "say(Kind.DONE, b'\\xff')", ClipDamaged, "the decoder fail"),
    "rude facts": (
        READY + r"say(Kind.DONE, b'[\"\\u001b[2J\", 1, 1, true, 0, 0]')",
        ClipDamaged,
        "the decoder fail",
    ),
    "unknown fault": (READY + "say(Kind.REFUSED, b'[\"HA\", 0]')", ClipDamaged, "the decoder fail"),
    "again and again": (READY + "say(Kind.AGAIN); say(Kind.AGAIN)", ClipDamaged, "decoder fail"),
    "no sound": (
        READY + "say(Kind.DONE, b'[\"opus\", 1, 1, true, 0, 0]')",
        ClipDamaged,
        "has no sound in it",
    ),
}


@pytest.mark.parametrize("lie", LIES)
async def test_nothing_that_a_process_says_is_trusted(
    child: Callable[[str], None], tmp_path: Path, lie: str
) -> None:
    code, kind, reason = LIES[lie]
    child(f"{code}\ntime.sleep(0 if {lie!r} in ('no start', 'ends') else 60)")
    (tmp_path / "a").touch()
    with pytest.raises(kind, match=reason) as caught:
        await ingest(tmp_path / "a")
    assert type(caught.value) is kind


async def test_a_process_that_says_nothing_is_killed(
    child: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(READY + "time.sleep(60)")
    monkeypatch.setattr(decoder, "WALL_S", 0.3)
    (tmp_path / "a").touch()
    with pytest.raises(ClipDamaged, match="too long"):
        await ingest(tmp_path / "a")


async def test_a_cancel_kills_the_process_at_once(
    child: Callable[[str], None], tmp_path: Path
) -> None:
    """And waits for it; only for its own: other tests' processes may run beside it."""
    child(READY + "say(Kind.PACKET, b'\\xf8\\xff\\xfe')\ntime.sleep(60)")
    (tmp_path / "a").touch()
    async with open_decoder() as one:
        process = await one._running(tmp_path / "a")
        with trio.move_on_after(0.5) as scope:
            await ingest(tmp_path / "a", one)
        assert scope.cancelled_caught
        assert one._process is None
        assert process._process._proc.returncode == -signal.SIGKILL  # None until it is reaped


async def test_no_process_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_handle, "_COMMAND", ("/nowhere/python",))
    (tmp_path / "a").touch()
    with pytest.raises(ClipError, match=r"a: cannot be decoded now \(No such file or directory\)$"):
        await ingest(tmp_path / "a")


def test_the_process_ends_with_its_server(tmp_path: Path) -> None:
    """However that ends: here it is killed, while the process works on a file that never ends."""
    code = """
import os, sys, trio
from audio_server.clips import decoder_handle
async def main():
    process = await decoder_handle.start_process()
    read, write = os.pipe()
    await process.request(b"i\\0", os.fdopen(read, "rb"))
    while not process.is_ready:
        with trio.move_on_after(0.1):
            await process.read()
    print(process._process.pid, flush=True)
    await trio.sleep_forever()
trio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        pidfd = os.pidfd_open(pid)
        server.kill()
        assert wait_readable(pidfd, 10.0)
        os.close(pidfd)


def wait_readable(fd: int, seconds: float) -> bool:
    import select

    return bool(select.select([fd], [], [], seconds)[0])


FORBIDDEN = {
    "open a file": "open('/etc/hostname')",
    "write a file": "os.write(out, b'x')",
    "open a socket": "socket.socket()",
    "use memory": "bytearray(300 << 20)",
    "be important": "os.nice(-1) if os.getuid() else 1 / 0",
}


@pytest.mark.parametrize("deed", FORBIDDEN)
def test_the_process_can_do_next_to_nothing(tmp_path: Path, deed: str) -> None:
    code = f"""
import os, socket, sys
from audio_server.clips.decoder_limits import limit_process
out = os.open({str(tmp_path / "out")!r}, os.O_CREAT | os.O_WRONLY)
limit_process(0)
os.dup(0)  # stands for the file that is decoded
try:
    {FORBIDDEN[deed]}
except (OSError, MemoryError, ZeroDivisionError):
    print("refused")
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"refused\n"


def test_the_process_gets_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_SERVER_HTTP_TOKEN", "secret")
    assert set(decoder_handle._environment()) <= {"PYTHONPATH", "PYTHONHOME"}


# -- the process itself, in a thread of this one and so without its limits


@contextmanager
def served() -> Iterator[socket.socket]:
    near, far = socket.socketpair()
    serve = partial(decoder_process.serve, far, lambda seconds: None)
    thread = threading.Thread(target=serve)
    thread.start()
    near.settimeout(30)
    try:
        yield near
    finally:
        near.close()
        thread.join()
        far.close()


def asked(near: socket.socket, job: bytes, path: Path) -> list[tuple[Kind, bytes]]:
    reader, said = RecordReader(), list[tuple[Kind, bytes]]()
    with path.open("rb") as file:
        socket.send_fds(near, [job], [file.fileno()])
        while not said or said[-1][0] not in (Kind.DONE, Kind.REFUSED):
            said += reader.push(near.recv(1 << 16))
    return said


def test_a_file_is_answered_with_records(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", SOUND)
    with served() as near:
        said = asked(near, INGEST + bytes([AS_IT_IS]), path)
    kinds = [kind for kind, _ in said]
    assert kinds[0] is Kind.READY
    assert kinds.count(Kind.PACKET) == packets_for(len(SOUND))
    assert said[-1] == (Kind.DONE, b'["pcm_s16le", 48000, 1, false, 0, 7]')


@pytest.mark.parametrize(
    ("error", "fault"),
    [(MemoryError(), b"MEMORY"), (ValueError("at 0x7f00"), b"CRASH"), (KeyError(1), b"CRASH")],
)
def test_whatever_goes_wrong_is_said_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, fault: bytes
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setitem(decoder_process._JOBS, INGEST, fail)
    (tmp_path / "a").touch()
    with served() as near:
        assert asked(near, INGEST + bytes([AS_IT_IS]), tmp_path / "a")[-1] == (
            Kind.REFUSED,
            b'["%s", 0]' % fault,
        )


ERRORS = {
    "a place before the beginning": (OSError(errno.EINVAL, "x"), Fault.DAMAGED),
    "a disk that fails": (OSError(errno.EIO, "x"), Fault.INPUT),
    "no memory": (MemoryError(), Fault.MEMORY),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_damaged_file_is_told_from_a_disk_that_fails(tmp_path: Path, case: str) -> None:
    error, fault = ERRORS[case]

    class Broken(BytesIO):
        def seek(self, *args: int) -> int:
            raise error

    with pytest.raises(Refused) as refused:
        ingest_here(Broken(), None)  # type: ignore[arg-type]
    assert refused.value.fault is fault


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_is_one_line_that_names_the_file(fault: Fault) -> None:
    error = fault.error("b.wav", 7)
    assert str(error).startswith("b.wav: ")
    assert "{" not in str(error)


def test_records_come_in_pieces_of_any_size() -> None:
    data = encode_record(Kind.PACKET, b"abc") + encode_record(Kind.AGAIN)
    reader = RecordReader()
    said = [record for byte in data for record in reader.push(struct.pack("B", byte))]
    assert said == [(Kind.PACKET, b"abc"), (Kind.AGAIN, b"")]
