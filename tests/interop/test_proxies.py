"""Devices behind proxies that open a connection for each call, share one among devices, or both;
and clients with a channel for each stub."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from debian_proxies import envoy, haproxy, nginx
from free_ports import free_ports
from house import LONG, SHORT, MadeClips, play, select, settle, wait_shown, wait_takes
from server_process import ServerProcess
from stock_device import StockDevice
from stock_session import method, open_channel

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import Call

DEVICES = 12
SCRIPT = "connect wait:1.1 mode play wait:0.4 reconnect wait:1.1 play wait:0.3 stop wait:0.2"

Proxy = Callable[..., AbstractContextManager[int]]


@pytest.fixture(scope="module")
def trusting_server(clips: MadeClips) -> Iterator[ServerProcess]:
    """A server that knows that many devices come from one address."""
    server = ServerProcess(clips.folder, clips.cache, "--trusted-proxies", "127.0.0.1")
    yield server
    assert server.errors() == []
    assert server.stop() == 0


@pytest.fixture(params=[nginx, haproxy, envoy], ids=["nginx", "haproxy", "envoy"])
def target(
    request: pytest.FixtureRequest, trusting_server: ServerProcess, tmp_path: Path
) -> Iterator[str]:
    """The address of a proxy."""
    with request.param(tmp_path, trusting_server.port) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def behind(target: str) -> Iterator[StockDevice]:
    """A device that comes through the proxy."""
    device = StockDevice(target, f"behind-{target.replace(':', '-')}")
    yield device
    device.switch_off()


def judged(port: str) -> str:
    """Twelve devices with a script through a proxy, judged by `audio-device`."""
    script = (
        "--devices",
        str(DEVICES),
        "--script",
        SCRIPT,
        "--modes",
        "6",
        "--tolerance-ms",
        "500",
    )
    command = "import sys; from audio_server.simulator.cli import main; main(sys.argv[1:])"
    run = subprocess.run(
        [sys.executable, "-c", command, "--port", port, *script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.stdout + run.stderr


def silent_status(channel: grpc.Channel, metadata: list[tuple[str, str]]) -> Any:
    """A `StatusStream` on which nothing is said."""
    says: SimpleQueue[None] = SimpleQueue()
    stream = method(channel, Call.STATUS)(iter(says.get, None), metadata=metadata, timeout=30.0)
    stream.add_callback(lambda: says.put(None))
    return stream


def test_twelve_devices_are_all_right(target: str) -> None:
    output = judged(target.rpartition(":")[2])
    assert output.splitlines()[-1:] == ["contract kept"], output
    assert output.count("2 connections") == DEVICES, output


def test_a_device_that_comes_back_takes_over(behind: StockDevice, clips: MadeClips) -> None:
    """Although its old calls are still open: the proxy does not know that it has gone."""
    behind.switch_on()
    select(behind, LONG)
    play(behind, packets=20)
    left = [behind.leave()]
    for _ in range(5):
        behind.switch_on()
        behind.wait_open()
        left.append(behind.leave())
    behind.switch_on()
    behind.wait_open()
    settle(behind)
    wait_shown(behind, LONG)
    assert behind.packets == []
    behind.press(Button.STOP, Button.MODE, Button.PLAY)
    assert wait_takes(behind, 1)[0].is_whole(clips.short)
    assert behind.ended == {}
    for session in left:
        session.close()
    behind.press(Button.MODE)
    behind.wait_answered()
    wait_shown(behind, SHORT + 1)
    assert behind.ended == {}


def test_one_lost_call_leaves_the_others(behind: StockDevice, clips: MadeClips) -> None:
    behind.switch_on()
    select(behind, SHORT)
    play(behind)
    behind.online.cancel(Call.STATUS)
    before = len(behind.frames)
    behind.online.open(Call.STATUS)
    behind.wait(lambda: behind.frames[before:])
    assert wait_takes(behind, 1)[0].is_whole(clips.short)
    assert set(behind.ended) <= {Call.STATUS}


def test_a_channel_for_each_stub(trusting_server: ServerProcess, clips: MadeClips) -> None:
    device = StockDevice(trusting_server.target, "channels", channel_each=True)
    device.switch_on()
    select(device, LONG)
    play(device, packets=20)
    left = device.leave()
    device.switch_on()
    device.wait_open()
    settle(device)
    wait_shown(device, LONG)
    device.press(Button.STOP, Button.MODE, Button.PLAY)
    assert wait_takes(device, 1)[0].is_whole(clips.short)
    wait_shown(device, SHORT)
    left.close()
    device.press(Button.MODE)
    device.wait_answered()
    assert device.ended == {}
    device.switch_off()


def test_workers_behind_a_proxy_that_balances_connections(clips: MadeClips, tmp_path: Path) -> None:
    server = ServerProcess(clips.folder, clips.cache, "--workers", "2")
    with haproxy(tmp_path, server.port, mode="tcp") as port:
        output = judged(str(port))
    assert output.splitlines()[-1:] == ["contract kept"], output
    assert server.stop() == 0
    assert server.errors() == []


def test_two_servers_behind_a_hash_of_the_device_id(
    trusting_server: ServerProcess, server: ServerProcess, tmp_path: Path
) -> None:
    """Each device's calls reach the same one; by either key."""
    with (
        nginx(tmp_path, trusting_server.port, server.port) as port,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        output = judged(str(port))
        for number in range(8):
            first = silent_status(channel, [("device_id", f"hashed-{number}")])
            assert next(first).HasField("set")
            second = silent_status(channel, [("device-id", f"hashed-{number}")])
            assert next(second).HasField("set")
            with pytest.raises(grpc.RpcError):
                list(first)
            assert first.code() is grpc.StatusCode.ABORTED
            second.cancel()
    assert output.splitlines()[-1:] == ["contract kept"], output


@pytest.mark.parametrize("balanced", [nginx, partial(haproxy, mode="hash"), envoy])
def test_workers_with_a_port_each_behind_a_hash_of_the_device_id(
    clips: MadeClips, tmp_path: Path, balanced: Proxy
) -> None:
    """Each device's calls reach one worker, on whichever connections; both workers have some."""
    first = free_ports(2)
    flags = ("--workers", "2", "--worker-ports", str(first), "--trusted-proxies", "127.0.0.1")
    server = ServerProcess(clips.folder, clips.cache, *flags)
    with (
        balanced(tmp_path, first, first + 1) as port,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        output = judged(str(port))
        calls = []
        for number in range(16):
            key = "device_id" if number % 2 else "device-id"
            calls.append(silent_status(channel, [(key, f"hashed-{number}")]))
            assert next(calls[-1]).HasField("set")
        for call in calls:
            assert call.is_active()
            call.cancel()
    assert output.splitlines()[-1:] == ["contract kept"], output
    assert server.stop() == 0
    assert server.errors() == []
    ended = [line for line in server.log if line["event"] == "call ended"]
    assert [line for line in ended if "another process" in line["reason"]] == []
    having = {line["worker"] for line in server.log if line["event"] == "device connected"}
    assert having == {1, 2}


@pytest.mark.parametrize("key", ["device_id", "device-id"])
def test_nginx_drops_names_with_an_underscore(
    trusting_server: ServerProcess, tmp_path: Path, key: str
) -> None:
    """Unless it is told otherwise; `device-id` gets through."""
    metadata = [(key, "underscore")]
    with (
        nginx(tmp_path, trusting_server.port, underscores=False) as port,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        stream = silent_status(channel, metadata)
        if key == "device-id":
            assert next(stream).HasField("set")
            stream.cancel()
            return
        with pytest.raises(grpc.RpcError):
            next(stream)
        assert stream.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "metadata needs device_id or device-id" in stream.details()
