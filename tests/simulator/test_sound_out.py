"""Sound that leaves a device: recordings, PCM in real time, players, the level."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import av
import pytest
import trio
from opus_sound import take, tone

from audio_server.clips.opus_decoder import PACKET_BYTES, QUIET, OpusDecoder
from audio_server.simulator import speaker as speaker_module
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.errors import CannotRecord
from audio_server.simulator.events import Disconnected, PacketReceived
from audio_server.simulator.options import Options
from audio_server.simulator.outputs import open_outputs
from audio_server.simulator.playout import Playout
from audio_server.simulator.record import Recorder
from audio_server.simulator.speaker import Speaker, find_players, open_player, write_to

PACKETS = tone(60)


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def record(path: Path, *takes: list[bytes]) -> None:
    with Recorder(path) as recorder:
        for packets in takes:
            for packet in take(packets):
                recorder(0.0, packet)


def test_an_opus_recording_is_bit_for_bit(tmp_path: Path) -> None:
    record(tmp_path / "a.opus", PACKETS, PACKETS[:7])
    assert packets_of(tmp_path / "a.opus") == PACKETS + PACKETS[:7]


def test_a_wav_recording_is_the_sound(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", PACKETS)
    decoder = OpusDecoder()
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 48_000, 60 * 960)
        assert file.readframes(60 * 960) == b"".join(map(decoder.decode, PACKETS))


def test_what_is_no_packet_is_left_out(tmp_path: Path) -> None:
    record(tmp_path / "a.opus", [PACKETS[0], b"", b"\xfb", PACKETS[1]])
    assert packets_of(tmp_path / "a.opus") == PACKETS[:2]


def test_a_recording_without_a_take_holds_no_sound(tmp_path: Path) -> None:
    record(tmp_path / "a.opus")
    record(tmp_path / "a.wav")
    assert (tmp_path / "a.opus").stat().st_size < 400
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getnframes() == 0


def test_a_recording_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotRecord, match=r"a recording is \.opus or \.wav"):
        Recorder(tmp_path / "a.mp3")
    for suffix in (".opus", ".wav"):
        with pytest.raises(FileNotFoundError) as raised:
            Recorder(tmp_path / "no" / f"a{suffix}")
        assert Path(raised.value.filename) == tmp_path / "no" / f"a{suffix}"


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff", b"\x00"])
def test_what_cannot_be_decoded_is_quiet(data: bytes) -> None:
    decoder = OpusDecoder()
    decoder.decode(PACKETS[0])
    assert len(decoder.decode(data)) % 2 == 0
    assert len(decoder.decode(PACKETS[1])) == PACKET_BYTES


class Loudspeaker:
    """Keeps what it is given, and when."""

    def __init__(self, *, breaks_after: int = 10**6) -> None:
        self.heard: list[bytes] = []
        self.times: list[float] = []
        self._breaks_after = breaks_after

    async def write(self, pcm: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if len(self.heard) == self._breaks_after:
            raise BrokenPipeError
        self.heard.append(pcm)
        self.times.append(trio.current_time())


async def test_pcm_leaves_in_real_time_with_quiet_around_it(autojump_clock: object) -> None:
    speaker, out = Speaker(), Loudspeaker()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speaker.run, out.write)
        await trio.sleep(0.05)
        for packet in take(PACKETS[:5]):
            speaker(trio.current_time(), packet)
        await trio.sleep(0.199)
        nursery.cancel_scope.cancel()
    decoder = OpusDecoder()
    sound = [decoder.decode(data) for data in PACKETS[:5]]
    assert out.heard == [QUIET] * 3 + sound + [QUIET] * 5
    assert out.times == pytest.approx([out.times[0] + 0.02 * n for n in range(13)])


async def test_a_device_that_is_switched_off_is_quiet_at_once(autojump_clock: object) -> None:
    speaker, out = Speaker(), Loudspeaker()
    for packet in take(PACKETS[:5]):
        speaker(0.0, packet)
    speaker(0.0, Disconnected())
    with trio.move_on_after(0.1):
        await speaker.run(out.write)
    assert set(out.heard) == {QUIET}


async def test_a_listener_who_leaves_ends_the_sound(autojump_clock: object) -> None:
    out = Loudspeaker(breaks_after=3)
    await Speaker().run(out.write)
    assert len(out.heard) == 3


async def test_pcm_goes_to_any_file_descriptor() -> None:
    reading, writing = os.pipe()
    try:
        await write_to(writing)(b"x" * 1920)
        assert os.read(reading, 4000) == b"x" * 1920
    finally:
        os.close(reading)
        os.close(writing)


async def test_a_player_that_is_installed_gets_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player, heard = tmp_path / "aplay", tmp_path / "heard"
    os.mkfifo(heard)
    player.write_text(f"#!/bin/sh\nexec cat > {heard}\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(speaker_module, "PLAYERS", ("nobody -", "aplay -q -"))
    (command,) = find_players()
    assert command == ["aplay", "-q", "-"]
    async with open_player(command) as write:
        await write(b"sound")
        assert await trio.to_thread.run_sync(_first_bytes, heard) == b"sound"


def _first_bytes(fifo: Path) -> bytes:
    with fifo.open("rb", buffering=0) as file:
        return file.read(100)


def test_without_a_player_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_players() == []


def hear(playout: Playout, at_s: float, packets: list[bytes]) -> None:
    for packet in take(packets):
        playout(at_s, packet)


def test_the_playout_knows_position_and_lead() -> None:
    playout = Playout()
    assert playout.heard(0.0) is None
    hear(playout, 1.0, PACKETS[:10])
    found = playout.heard(1.05)
    assert found is not None
    assert found.position_s == pytest.approx(0.04)
    assert playout.ahead_s(1.05) == pytest.approx(0.15)
    assert playout.heard(1.21) is None
    assert playout.ahead_s(1.21) == 0.0


def test_a_new_take_is_heard_after_the_old_one_and_from_zero() -> None:
    playout = Playout()
    hear(playout, 1.0, PACKETS[:10])
    hear(playout, 1.1, PACKETS[:2])
    found = playout.heard(1.225)
    assert found is not None
    assert found.position_s == pytest.approx(0.02)


def test_the_level_tells_loud_from_quiet() -> None:
    def level(packets: list[bytes]) -> float:
        playout = Playout()
        hear(playout, 0.0, packets)
        found = playout.heard(0.1)
        assert found is not None
        return found.level

    loud, soft, none = (level(tone(10, amplitude=a)) for a in (30_000, 300, 0))
    assert 0.9 < loud <= 1.0
    assert 0.2 < soft < 0.5
    assert none == 0.0


def test_off_line_nothing_is_heard() -> None:
    playout = Playout()
    playout(0.0, PacketReceived(True, False, PACKETS[0]))
    playout(0.01, Disconnected())
    assert playout.heard(0.011) is None


async def test_who_cannot_be_heard_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker_module, "PLAYERS", ("true",))
    device = VirtualDevice("den", no_channel)  # type: ignore[arg-type]
    said: list[str] = []
    silent = trio.Event()

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("no player"):
            silent.set()

    async with open_outputs(device, Options(play=True), say):
        await silent.wait()
        assert device.observers == []
    assert said[:2] == ["sound goes to true", "true takes no more sound"]


def no_channel() -> None:
    raise AssertionError("nothing connects here")
