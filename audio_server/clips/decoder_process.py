"""The process that decodes: it is asked for one file after the other, and answers with records.

Standard output is a socket to the server; with each request comes the descriptor of a file.
Standard input is open for as long as the server lives.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import BinaryIO

# PyAV imports these when a file has such a stream; by then no module can be opened.
import av.audio.codeccontext
import av.audio.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream  # noqa: F401

from audio_server.clips.decoder_limits import CpuBudget, limit_cpu, limit_process
from audio_server.clips.faults import Fault, Refused
from audio_server.clips.ingest import ingest
from audio_server.clips.levels import levels
from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ
from audio_server.clips.records import AS_IT_IS, INGEST, LEVELS, Kind, RecordReader, encode_record

_RIGHTS_BYTES = socket.CMSG_SPACE(array.array("i").itemsize)
_READ_BYTES = 1 << 16
_SEND_BYTES = 1 << 13
_SEND_PACKETS = 50


def main() -> None:
    """Serve the process that started this one, until it closes its ends."""
    channel = socket.socket(fileno=1)
    limit_process(lifeline=0)
    serve(channel, limit_cpu)


def serve(channel: socket.socket, limit: Callable[[float], None]) -> None:
    """Answer requests until the other end is closed. `limit` is as `CpuBudget` has it."""
    channel.sendall(encode_record(Kind.READY))
    while (request := _receive(channel)) is not None:
        job, file = request
        with file:
            _answer(Reply(channel, CpuBudget(limit)), job, file)


def _receive(channel: socket.socket) -> tuple[_Job, BinaryIO] | None:
    name, rights, _, _ = channel.recvmsg(1, _RIGHTS_BYTES)
    if not name:
        return None
    job = _at_level(channel.recv(1)[0]) if name == INGEST else _JOBS[name]
    fds = array.array("i", rights[0][2])
    return job, os.fdopen(fds[0], "rb", buffering=0)


def _answer(reply: Reply, job: _Job, file: BinaryIO) -> None:
    try:
        reply.end(Kind.DONE, job(file, reply))
    except Refused as refused:
        reply.end(Kind.REFUSED, [refused.fault.name, refused.number])
    except MemoryError:
        reply.end(Kind.REFUSED, [Fault.MEMORY.name, 0])
    except OSError:
        raise  # the server is gone
    except Exception:
        reply.end(Kind.REFUSED, [Fault.CRASH.name, 0])


def _at_level(level: int) -> _Job:
    return lambda file, reply: _JOBS[INGEST](file, reply, level)


class Reply:
    """The records of one answer; a sink of `ingest`."""

    def __init__(self, channel: socket.socket, budget: CpuBudget) -> None:
        self._channel = channel
        self._budget = budget
        self._records: list[bytes] = []
        self._waiting_bytes = 0
        self._measured = 0

    def check(self, samples: int = 0) -> None:
        """Raise `Refused` where the CPU time for the sound so far is used up."""
        self._budget.check(samples)

    def put(self, packet: bytes) -> None:
        """Send the next packet, or its levels, with others."""
        self.check(PACKET_SAMPLES)
        self._add(Kind.PACKET, packet)

    def again(self) -> None:
        """Take back all packets."""
        self._add(Kind.AGAIN)

    def measured(self, samples: int) -> None:
        """Tell each second of sound that was measured."""
        self.check(samples)
        self._measured += samples
        while self._measured >= RATE_HZ:
            self._measured -= RATE_HZ
            self._add(Kind.MEASURED)

    def end(self, kind: Kind, facts: object) -> None:
        """Send the rest, and last the facts."""
        self._add(kind, json.dumps(facts).encode())
        self._flush()

    def _add(self, kind: Kind, data: bytes = b"") -> None:
        self._records.append(encode_record(kind, data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _SEND_BYTES or len(self._records) >= _SEND_PACKETS:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._records)
        self._records, self._waiting_bytes = [], 0
        self._channel.sendall(data)


_Job = Callable[..., object]


def _ingest(file: BinaryIO, reply: Reply, level: int = AS_IT_IS) -> object:
    source, damage = ingest(file, reply, None if level == AS_IT_IS else -level)
    facts = [source.codec, source.rate_hz, source.channels, source.passed_through]
    return [*facts, damage.broken, damage.good + damage.broken]


def _levels(file: BinaryIO, reply: Reply) -> object:
    for part in levels(_packets(file)):
        reply.put(part)
    return None


def _packets(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    reader = RecordReader()
    while data := file.read(_READ_BYTES):
        for _, packet in reader.push(data):
            yield packet


_JOBS: dict[bytes, _Job] = {INGEST: _ingest, LEVELS: _levels}


if __name__ == "__main__":
    main()
